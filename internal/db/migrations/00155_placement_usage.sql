-- What is allocated of a provider is summed at each claim: of the index alone,
-- whose rows lie together, and not of as many rows of the table as it has consumers.

-- +goose Up
CREATE INDEX placement_allocations_used ON placement_allocations (provider, class, used);
DROP INDEX placement_allocations_provider;

-- +goose Down
CREATE INDEX placement_allocations_provider ON placement_allocations (provider, class);
DROP INDEX placement_allocations_used;
