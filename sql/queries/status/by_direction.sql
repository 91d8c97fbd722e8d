-- A first look for people: how many messages there are each way, and from when to when.
SELECT
    direction,
    count(*)                                 AS messages,
    count(DISTINCT patient_id)               AS patients,
    count(DISTINCT practitioner_id)          AS practitioners,
    count(*) FILTER (WHERE body_format = 'html') AS html,
    min(sent_at)::date                       AS first_sent,
    max(sent_at)::date                       AS last_sent
FROM canvas.live_message
GROUP BY direction
ORDER BY direction
