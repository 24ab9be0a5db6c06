-- How much a member has under way that nobody waits for.
CREATE INDEX answers_under_way ON answers (member, under_way_until);
