-- What lies in the record store, and which link's version it is of.
CREATE TABLE stored_records (
    name TEXT PRIMARY KEY,
    link TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- SHA-256 of the content, once it is stored whole.
    content_hash TEXT,
    stored_at BIGINT NOT NULL,
    -- 1 when the ledger's link is known to name it.
    linked BIGINT NOT NULL
);
CREATE INDEX stored_records_by_link ON stored_records (link);
CREATE INDEX stored_records_unlinked ON stored_records (linked, stored_at);
