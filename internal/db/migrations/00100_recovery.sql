-- +goose Up
-- what hosts keep beside or instead of what they are told, since the database
-- went back in time; the host's word, repeated with its reports
CREATE TABLE hoststate_kept (
    host text NOT NULL,
    section text NOT NULL,
    object text NOT NULL,
    kind text NOT NULL,     -- unknown (in quarantine), lost, diverged
    epoch bigint NOT NULL,  -- in which the host found it
    spec text NOT NULL,     -- JSON, as the host last knew it
    since bigint NOT NULL,
    PRIMARY KEY (host, section, object)
);

-- +goose Down
DROP TABLE hoststate_kept;
