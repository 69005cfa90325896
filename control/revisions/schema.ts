/**
 * Each change of a cluster, whoever made it, is one row. `digest`: the manifest that the cluster is at from then on, "" for none that is known
 * here. `state`: its groups as they are from then on (state.ts), as JSON. `command`, `epoch` and `entry`: of a command's outcome, in the
 * customer's log; null for what an operator imported.
 */
export const REVISION_SCHEMA: readonly string[] = [
  `create table if not exists revisions (cluster text not null, position bigint not null, at bigint not null, digest text not null,
    said_by text not null, why text not null, action text not null, result text not null, asked text not null, changed text not null,
    state text not null, command text, epoch bigint, entry bigint, primary key (cluster, position))`,
  "create index if not exists revisions_by_command on revisions (cluster, command)",
  // Before there were revisions a cluster's line held its manifests only.
  `create table if not exists manifest_history (cluster text not null, at bigint not null, position bigint not null, digest text not null,
    said_by text not null, why text not null, primary key (cluster, position))`,
  `insert into revisions (cluster, position, at, digest, said_by, why, action, result, asked, changed, state)
    select cluster, position, at, digest, said_by, why, 'import', 'succeeded', '{}', '[]', '{}' from manifest_history where position > 0
    on conflict (cluster, position) do nothing`,
];
