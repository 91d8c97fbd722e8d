-- A row for each thing about the messages that an analyst should know before counting them, in canvas.message and in
-- canvas.live_message. Deleted ones are left out.

CREATE OR REPLACE VIEW canvas.quality AS
WITH counted AS (
    SELECT
        GROUPING(delivery IN ('sent', 'unknown')) = 1                                  AS of_all,
        delivery IN ('sent', 'unknown')                                                AS of_live,
        count(*) FILTER (WHERE body_format_basis = 'before_cutoff' AND body_text ~* marks.up) AS markup_before_cutoff,
        count(*) FILTER (WHERE body_format = 'html' AND body_html IS NULL)             AS html_over_caps,
        count(*) FILTER (WHERE body_format_basis = 'cutoff_hour')                      AS html_in_cutoff_hour,
        count(*) FILTER (WHERE body_format_basis = 'no_sent')                          AS html_without_sent,
        count(*) FILTER (WHERE coalesce(body_text, '') = '')                           AS without_text,
        count(*) FILTER (WHERE sent_at IS NULL)                                        AS without_sent,
        count(*) FILTER (WHERE sent_at > _first_seen_at)                               AS sent_after_first_seen,
        count(*) FILTER (WHERE 'odd_date' = ANY (_quality))                            AS odd_date,
        count(*) FILTER (WHERE 'defect' = ANY (_quality))                              AS defect,
        count(*) FILTER (WHERE direction = 'unknown')                                  AS unknown_direction,
        count(*) FILTER (
            WHERE direction = 'practitioner_to_patient' AND delivery = 'unknown'
        )                                                                              AS possible_drafts,
        count(*) FILTER (
            WHERE id IN (SELECT message_id FROM canvas_ops.quarantine WHERE resolved_at IS NULL)
        )                                                                              AS newer_version_unusable
    FROM canvas.message
    CROSS JOIN (
        -- What makes a body HTML after the cutoff: a tag of a known element, a comment, a character reference
        -- (worker/transform/cutoff.py; a test holds the two against each other). Of references just the usual ones.
        SELECT
            '</?(?:(?:'
            'a|abbr|acronym|address|applet|area|article|aside|audio|b|base|basefont|bdi|bdo|bgsound|'
            'big|blink|blockquote|body|br|button|canvas|caption|center|cite|code|col|colgroup|data|'
            'datalist|dd|del|details|dfn|dialog|dir|div|dl|dt|em|embed|fieldset|figcaption|figure|'
            'font|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|hgroup|hr|html|i|iframe|'
            'image|img|input|ins|isindex|kbd|keygen|label|legend|li|link|listing|main|map|mark|'
            'marquee|math|menu|menuitem|meta|meter|multicol|nav|nextid|nobr|noembed|noframes|noscript|'
            'object|ol|optgroup|option|output|p|param|picture|plaintext|pre|progress|q|rb|rp|rt|rtc|'
            'ruby|s|samp|script|search|section|select|slot|small|source|spacer|span|strike|strong|'
            'style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|'
            'track|tt|u|ul|var|video|wbr|xmp'
            ')|(?:m|o|st1|v|w|x):[a-z0-9:]*)'
            '(?:[\s/]+(?:[^\s"''<>/=]+\s*=\s*(?:"[^"<]*"|''[^''<]*''|[^\s"''<>]+)'
            '|(?:'
            'allowfullscreen|async|autofocus|autoplay|checked|compact|controls|declare|default|defer|'
            'disabled|formnovalidate|hidden|inert|ismap|itemscope|loop|multiple|muted|nohref|nomodule|'
            'noresize|noshade|novalidate|nowrap|open|playsinline|readonly|required|reversed|selected'
            '))?)*>'
            '|<!--.*-->|<!(?:doctype|\[(?:if|endif))\M[^<>]*>'
            '|&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|amp|lt|gt|quot|apos|nbsp|shy|ensp|emsp|thinsp|zwnj|zwj|lsquo|rsquo'
            '|sbquo|ldquo|rdquo|bdquo|laquo|raquo|ndash|mdash|hellip|bull|middot|copy|reg|trade|deg|plusmn|times'
            '|divide|frac12|frac14|frac34|sup2|sup3|micro|euro|pound|cent|sect|para|iexcl|iquest|szlig|aelig|oelig'
            '|[a-z](?:acute|grave|circ|uml|tilde|cedil|ring|slash));' AS up
    ) AS marks
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
        ('html_over_caps', counted.html_over_caps, 'Too large or too deep for their structure to be read: body_text has all words, also hidden ones, and body_html is null.'),
        ('html_in_cutoff_hour', counted.html_in_cutoff_hour, 'Sent in the hour that Canvas''s documentation leaves open, and read as HTML because they have markup.'),
        ('html_without_sent', counted.html_without_sent, 'Without a time, and read as HTML because they have markup.'),
        ('without_text', counted.without_text, 'No words: no content, or nothing but a picture or an attachment. body_text is null or empty.'),
        ('without_sent', counted.without_sent, 'sent_at is null: drafts, most often. Counts by day miss them, and ORDER BY sent_at DESC has them first.'),
        ('sent_after_first_seen', counted.sent_after_first_seen, 'Sent after the mirror first had them: drafts that were sent later, or a time in the future.'),
        ('odd_date', counted.odd_date, 'sent or received is not written as FHIR asks for (an offset without a colon, no seconds, a blank for the T), and names one instant all the same.'),
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
