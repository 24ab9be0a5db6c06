-- Whoever makes a webhook holds its member's row, so that a member's webhooks are counted for one at a time.
CREATE TABLE webhook_members (member TEXT PRIMARY KEY);
