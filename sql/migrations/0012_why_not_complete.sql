-- Why a run was not complete though its searches were accepted was said once, and then known to nobody.

ALTER TABLE canvas_ops.run ADD COLUMN reason text;

COMMENT ON COLUMN canvas_ops.run.reason IS 'Why it was not complete, or proved nothing, beside the reasons of its searches: quarantine, too_many, source_unreliable, … Null if there is nothing to say.';
COMMENT ON COLUMN canvas_ops.run.outcome IS 'complete: everything asked for was accepted. incomplete: some searches were not, or see reason. failed: no search was accepted. interrupted: it died, and was not resumed.';
COMMENT ON COLUMN canvas_ops.run.entries IS 'Communication entries that the last walk of each search was served, accepted or not.';
COMMENT ON COLUMN canvas_ops.run.inserted IS 'Messages that were new, out of quarantine included.';
COMMENT ON COLUMN canvas.message.delivery IS 'What status means: sent, draft (preparation), scheduled (in-progress, on-hold), void (not-done, stopped, entered-in-error), or unknown. A practitioner''s message with status unknown may be a draft.';
