-- Where members have themselves told of events, and how far that is.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    member TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    block BIGINT NOT NULL,
    event_number BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    next_try_at BIGINT NOT NULL,
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL
);
CREATE INDEX webhooks_of_member ON webhooks (member);

-- Events that could not be delivered, sealed.
CREATE TABLE dead_letters (
    webhook TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    block BIGINT NOT NULL,
    event_number BIGINT NOT NULL,
    reason TEXT NOT NULL,
    event BYTEA NOT NULL,
    died_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (webhook, transaction_id)
);
CREATE INDEX dead_letters_expire ON dead_letters (expires_at);
