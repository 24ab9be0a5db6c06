-- What waits for the signature of a member whose key is elsewhere: the very bytes that are signed.
CREATE TABLE awaited_signatures (
    transaction_id TEXT PRIMARY KEY,
    member TEXT NOT NULL,
    step TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    telling TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX awaited_signatures_expire ON awaited_signatures (expires_at);
