"""Canvas → decoded pages: authentication, pace, paging, the roster, Bundle decoding."""
