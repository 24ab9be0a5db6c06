-- Records that arrive bit by bit, until they are published.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    member TEXT NOT NULL,
    length BIGINT NOT NULL,
    received BIGINT NOT NULL,
    media_type TEXT NOT NULL,
    -- The newest writer, who alone goes on.
    writer TEXT NOT NULL,
    -- Its key and metadata, sealed to the organisation's key.
    sealed BYTEA NOT NULL,
    -- The link or amendment that it was published as; its pieces are gone then.
    used_for TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_of_member ON uploads (member);
CREATE INDEX uploads_expire ON uploads (expires_at);
-- Whoever begins an upload holds its member's row, so that the member's quota is counted for one at a time.
CREATE TABLE upload_members (member TEXT PRIMARY KEY);
CREATE TABLE upload_pieces (
    -- In the record store.
    name TEXT PRIMARY KEY,
    upload TEXT NOT NULL,
    number BIGINT NOT NULL,
    -- Plain bytes.
    length BIGINT NOT NULL,
    -- 1 while it is a part of its upload; 0 before, and when another took its place.
    kept BIGINT NOT NULL,
    stored_at BIGINT NOT NULL
);
CREATE INDEX upload_pieces_of_upload ON upload_pieces (upload, number);
CREATE INDEX upload_pieces_loose ON upload_pieces (kept, stored_at);
