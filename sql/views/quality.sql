-- A row for each thing about the messages that an analyst should know before counting them, in canvas.message and in
-- canvas.live_message. Deleted ones are left out.

CREATE OR REPLACE VIEW canvas.quality AS
WITH counted AS (
    SELECT
        GROUPING(delivery IN ('sent', 'unknown')) = 1                                  AS of_all,
        delivery IN ('sent', 'unknown')                                                AS of_live,
        count(*) FILTER (WHERE 'markup_before_cutoff' = ANY (_quality))                AS markup_before_cutoff,
        count(*) FILTER (WHERE 'over_caps' = ANY (_quality))                           AS html_over_caps,
        count(*) FILTER (WHERE body_format_basis = 'cutoff_hour')                      AS html_in_cutoff_hour,
        count(*) FILTER (WHERE body_format_basis = 'no_sent')                          AS html_without_sent,
        count(*) FILTER (WHERE coalesce(body_text, '') = '')                           AS without_text,
        count(*) FILTER (WHERE sent_at IS NULL)                                        AS without_sent,
        count(*) FILTER (WHERE sent_at > _first_seen_at)                               AS sent_after_first_seen,
        count(*) FILTER (WHERE 'odd_date' = ANY (_quality))                            AS odd_date,
        count(*) FILTER (WHERE 'partial' = ANY (_quality))                             AS partial,
        count(*) FILTER (WHERE 'defect' = ANY (_quality))                              AS defect,
        count(*) FILTER (WHERE direction = 'unknown')                                  AS unknown_direction,
        count(*) FILTER (
            WHERE direction = 'practitioner_to_patient' AND delivery = 'unknown'
        )                                                                              AS possible_drafts,
        count(*) FILTER (
            WHERE id IN (SELECT message_id FROM canvas_ops.quarantine WHERE resolved_at IS NULL)
        )                                                                              AS newer_version_unusable
    FROM canvas.message
    WHERE _deleted_at IS NULL
    GROUP BY GROUPING SETS ((), (delivery IN ('sent', 'unknown')))
)
SELECT
    found.finding,
    max(found.messages) FILTER (WHERE counted.of_all)               AS messages,
    found.meaning,
    coalesce(max(found.messages) FILTER (WHERE counted.of_live), 0) AS live_messages
FROM counted
CROSS JOIN LATERAL (
    VALUES
        ('markup_before_cutoff', counted.markup_before_cutoff, 'Kept as plain text, because they were sent before the cutoff, though they look like HTML: backdated ones, perhaps.'),
        ('html_over_caps', counted.html_over_caps, 'Could not be read in 2 seconds of computing and 300 MB of memory: body_text has the words without their structure, also those that a style sheet hides, and body_html is null.'),
        ('html_in_cutoff_hour', counted.html_in_cutoff_hour, 'Sent in the hour that Canvas''s documentation leaves open, and read as HTML because they have markup.'),
        ('html_without_sent', counted.html_without_sent, 'Without a time, and read as HTML because they have markup.'),
        ('without_text', counted.without_text, 'No words: no content, or nothing but a picture or an attachment. body_text is null or empty.'),
        ('without_sent', counted.without_sent, 'sent_at is null: drafts, most often. Counts by day miss them, and ORDER BY sent_at DESC has them first.'),
        ('sent_after_first_seen', counted.sent_after_first_seen, 'Sent after the mirror first had them: drafts that were sent later, or a time in the future.'),
        ('odd_date', counted.odd_date, 'sent or received is not written as FHIR asks for (an offset without a colon, no seconds, a blank for the T), and names one instant all the same.'),
        ('partial', counted.partial, 'The source left something out of them (tagged SUBSETTED, or labelled REDACTED or MASKED), and has never shown them whole.'),
        ('defect', counted.defect, 'The mirror''s own code failed on them: some columns are derived the plain way (body_text without its markup, no body_html), until a version that does not fail replays them.'),
        ('unknown_direction', counted.unknown_direction, 'A side is missing, or is neither a patient nor a practitioner.'),
        ('possible_drafts', counted.possible_drafts, 'From a practitioner with status unknown, as the older API edition shows all: a draft cannot be told from a message.'),
        ('newer_version_unusable', counted.newer_version_unusable, 'The source has a newer version that cannot be a row (canvas.unusable): what is here is out of date.')
) AS found (finding, messages, meaning)
GROUP BY found.finding, found.meaning
ORDER BY found.finding;

COMMENT ON VIEW canvas.quality IS 'A row for each thing about the messages that an analyst should know before counting them. Deleted ones are left out.';
COMMENT ON COLUMN canvas.quality.finding IS 'Its name, the same in every version.';
COMMENT ON COLUMN canvas.quality.messages IS 'How many messages it is true of.';
COMMENT ON COLUMN canvas.quality.meaning IS 'What it means for them.';
COMMENT ON COLUMN canvas.quality.live_messages IS 'How many of them are in canvas.live_message.';
