-- Up to where a reader of the ledger's events has dealt with them.
CREATE TABLE checkpoints (
    reader TEXT PRIMARY KEY,
    block BIGINT NOT NULL,
    transaction_id TEXT NOT NULL
);
