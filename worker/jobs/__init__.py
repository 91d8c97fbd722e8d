"""What a run is: planning, the mirror loop, and the jobs an operator starts."""
