-- Copies of other organisations' contents, which this organisation keeps as their custodian, or is to keep.
CREATE TABLE replicas (
    -- Its name in the record store, chosen before it is there.
    name TEXT PRIMARY KEY,
    publisher TEXT NOT NULL,
    link TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- What the ledger says of the content.
    content_hash TEXT NOT NULL,
    content_length BIGINT NOT NULL,
    -- 1 when it lies in the store, whole.
    kept BIGINT NOT NULL,
    -- How often copying it failed, and when it is tried again.
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX replicas_by_link ON replicas (link, version);
CREATE INDEX replicas_of_publisher ON replicas (publisher, kept, due_at);
