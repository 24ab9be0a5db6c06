-- The organisation's own envelope of a version that waits for approval: the ledger does not give it out before.
ALTER TABLE stored_records ADD COLUMN envelope TEXT;
