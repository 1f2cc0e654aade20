-- Dispatch: the queue of what is to be delivered, inboxes, what workers' turns came to, who dispatches.

-- What is to be delivered to a session, and how far that has come. `state` is the contract's word, `phase` the exact
-- one. Numbers named `..._uptime` are milliseconds since the boot `boot_id`; times beside them are for people.
create table commands (
  id text primary key not null,
  idempotency_key text not null,
  request_sha256 text not null,
  created_at text not null,
  updated_at text not null,
  created_by text not null check (created_by in ('operator', 'manager', 'worker', 'conveyor', 'session')),
  task_id text references tasks (id),
  binding_id text references bindings (id),
  source_session_id text references sessions (id),
  target_session_id text not null references sessions (id),
  seq integer not null check (seq > 0),
  correlation_id text not null,
  type text not null,
  state text not null check (state in ('pending', 'attempted', 'succeeded', 'failed', 'blocked')),
  phase text not null check (phase in ('queued', 'claimed', 'started', 'staged', 'submitted', 'delivered', 'done',
    'failed', 'ambiguous', 'cancelled', 'expired', 'dead', 'blocked')),
  reason text,
  lane text,
  lane_reason text,
  required_permission text,
  boot_id text not null,
  available_at text,
  available_uptime integer not null default 0,
  expires_at text,
  expires_uptime integer,
  claimed_by text,
  claimed_at text,
  claim_expires_at text,
  lease_uptime integer,
  begun_uptime integer,
  fence integer not null default 0 check (fence >= 0),
  attempts integer not null default 0 check (attempts >= 0),
  max_attempts integer not null check (max_attempts > 0),
  crash_count integer not null default 0 check (crash_count >= 0),
  defer_count integer not null default 0 check (defer_count >= 0),
  budget_spent integer not null default 0 check (budget_spent in (0, 1)),
  payload_json text not null check (json_valid(payload_json)),
  result_json text check (json_valid(result_json)),
  error text
);
create unique index commands_key on commands (coalesce(task_id, target_session_id), idempotency_key);
create unique index commands_order on commands (seq);
create index commands_live on commands (seq)
  where phase in ('queued', 'claimed', 'started', 'staged', 'submitted');
create index commands_attention on commands (seq)
  where phase in ('failed', 'ambiguous', 'expired', 'dead', 'blocked');
create index commands_waiting on commands (target_session_id)
  where phase in ('queued', 'claimed', 'started', 'staged', 'submitted');
create index commands_task on commands (task_id, created_at);
create index commands_correlation on commands (correlation_id, seq);
create index commands_begun on commands (target_session_id, begun_uptime) where begun_uptime is not null;
create index commands_typed on commands (seq)
  where lane = 'tmux' and phase in ('started', 'staged', 'submitted');

-- One row for each try at delivering a command.
create table command_attempts (
  id integer primary key autoincrement,
  command_id text not null references commands (id),
  correlation_id text not null,
  dispatcher_id text not null,
  fence integer not null,
  lane text,
  started_at text not null,
  finished_at text,
  state text not null check (state in ('running', 'succeeded', 'failed', 'abandoned', 'blocked')),
  result_json text check (json_valid(result_json)),
  error text,
  side_effect_started integer not null default 0 check (side_effect_started in (0, 1)),
  side_effect_completed integer not null default 0 check (side_effect_completed in (0, 1))
);
create index command_attempts_command on command_attempts (command_id, id);

-- How turns of workers ended: written with the rollout line that says so, routed to a manager later. The key makes
-- an end one row, however often and from whichever file its line is read.
create table session_signals (
  id integer primary key autoincrement,
  session_id text not null references sessions (id),
  dedupe_key text not null unique,
  kind text not null check (kind in ('worker_task_complete', 'worker_plan_waits', 'worker_turn_failed',
    'worker_turn_aborted')),
  turn_id text,
  at text,
  recorded_at text not null,
  path text not null,
  byte_offset integer not null,
  last_message text,
  detail text,
  disposition text check (disposition in ('routed', 'merged', 'outside_binding')),
  notification_id integer references routed_notifications (id)
);
create index session_signals_unrouted on session_signals (session_id, id) where disposition is null;
create index session_signals_told on session_signals (notification_id, id) where notification_id is not null;

-- Inboxes: what lies there for a session to fetch. Delivered, read, consumed and acknowledged are facts of their own.
create table routed_notifications (
  id integer primary key autoincrement,
  task_id text references tasks (id),
  binding_id text references bindings (id),
  source_session_id text references sessions (id),
  target_session_id text not null references sessions (id),
  correlation_id text not null,
  signal_type text not null,
  source_event_id integer references session_signals (id),
  source_event_timestamp text,
  dedupe_key text not null unique,
  command_id text references commands (id),
  created_at text not null,
  delivered_at text,
  renewed_at text,
  read_at text,
  consumed_at text,
  consumed_by_session_id text references sessions (id),
  consumed_manager_cycle_id integer references manager_cycles (id),
  delivery_mode text not null check (delivery_mode in ('push', 'pull_required')),
  state text not null check (state in ('pending', 'delivered', 'failed', 'suppressed')),
  delivery_count integer not null default 0 check (delivery_count >= 0),
  lease_token text unique,
  leased_at text,
  lease_boot_id text,
  lease_uptime integer,
  lease_expires_at text,
  payload_json text not null check (json_valid(payload_json)),
  error text
);
create index routed_notifications_waiting on routed_notifications (target_session_id, id)
  where state = 'delivered' and consumed_at is null;
create index routed_notifications_dead on routed_notifications (target_session_id, id) where state = 'failed';
create index routed_notifications_binding on routed_notifications (binding_id, id);
create index routed_notifications_correlation on routed_notifications (correlation_id, id);

-- What sessions ask of a person, as the sensors saw it. One row for each time that a question was open.
create table session_questions (
  id integer primary key autoincrement,
  session_id text not null references sessions (id),
  question_id text not null,
  question_json text not null check (json_valid(question_json)),
  opened_at text not null,
  seen_at text not null,
  closed_at text,
  answer text check (answer in ('approve', 'decline', 'cancel')),
  answered_by text,
  answer_uptime integer,
  answer_boot_id text,
  routed_at text,
  notification_id integer references routed_notifications (id)
);
create unique index session_questions_open on session_questions (session_id, question_id) where closed_at is null;
create index session_questions_unrouted on session_questions (session_id, id)
  where closed_at is null and routed_at is null;

-- What a session says about something it got. History: any number, in any order.
create table notification_acknowledgements (
  id integer primary key autoincrement,
  task_id text references tasks (id),
  binding_id text references bindings (id),
  notification_id integer not null references routed_notifications (id),
  role text not null check (role in ('worker', 'manager')),
  status text not null check (status in ('received', 'accepted', 'blocked')),
  payload_json text not null check (json_valid(payload_json)),
  created_at text not null,
  correlation_id text
);
create index notification_acknowledgements_notification on notification_acknowledgements (notification_id, id);

-- This ledger as it marks the panes that it types into, and the last number that a text to be typed was given.
create table installation (
  id integer primary key check (id = 1),
  name text not null,
  last_number integer not null default 0 check (last_number >= 0)
);

-- What is typed into a pane for a command: written before anything is typed, one row for each command. `number` is what
-- the pane counts; the echo counts in this thread only, and in this file only from this byte on. `notification_id` is
-- the message in the inbox to which the text is only a pointer.
create table typed_messages (
  command_id text primary key not null references commands (id),
  session_id text not null references sessions (id),
  number integer not null check (number > 0),
  marker text not null unique,
  text_sha256 text not null,
  body text not null,
  thread_id text,
  rollout_path text,
  echo_from_offset integer not null check (echo_from_offset >= 0),
  tmux_socket text,
  pane_id text not null,
  pane_pid integer not null,
  pane_pid_start integer not null,
  boot_id text not null,
  notification_id integer references routed_notifications (id),
  created_at text not null
);
create index typed_messages_pointers on typed_messages (notification_id) where notification_id is not null;

-- Who dispatches. One row for each dispatcher, updated in place.
create table dispatchers (
  id text primary key not null,
  host text not null check (host in ('once', 'watch', 'cockpit')),
  pid integer not null,
  pid_start integer,
  boot_id text not null,
  started_at text not null,
  heartbeat_at text not null,
  heartbeat_uptime integer not null,
  passes integer not null default 0,
  processed integer not null default 0,
  state text not null check (state in ('running', 'stopped')),
  stop_requested_at text,
  last_error text,
  only_task_id text references tasks (id),
  only_type text,
  log_path text
);

-- How many messages a task's worker may be given. No row is no limit. What was used may exceed a limit that was lowered.
create table budgets (
  task_id text primary key not null references tasks (id),
  max_nudges integer not null check (max_nudges >= 0),
  nudges_used integer not null default 0 check (nudges_used >= 0)
);

-- Where nothing may be delivered now: `all`, or a task.
create table dispatch_pauses (
  scope text primary key not null,
  paused_at text not null,
  paused_by text not null check (paused_by in ('operator', 'manager', 'worker', 'conveyor')),
  reason text
);

-- What the operator has put on a session or a task. `seen_offset` is the first byte of the rollout `seen_path` that was
-- not looked at.
create table marks (
  id integer primary key,
  session_id text unique references sessions (id),
  task_id text unique references tasks (id),
  pinned_at text,
  snoozed_at text,
  snoozed_until text,
  seen_at text,
  seen_path text,
  seen_generation integer,
  seen_offset integer check (seen_offset >= 0),
  unread_at text,
  check ((session_id is null) <> (task_id is null)),
  check ((snoozed_at is null) = (snoozed_until is null)),
  check ((seen_path is null) = (seen_offset is null) and (seen_path is null) = (seen_generation is null))
);

-- What a task's manager is held to, and what it may do. No row: nothing is allowed. `revision` grows with every change.
create table manager_configs (
  task_id text primary key not null references tasks (id),
  recipe_name text,
  supervision_mode text not null check (supervision_mode in ('light', 'guided', 'strict')),
  objective text,
  guidelines_json text not null check (json_valid(guidelines_json)),
  acceptance_criteria_json text not null check (json_valid(acceptance_criteria_json)),
  reference_paths_json text not null check (json_valid(reference_paths_json)),
  permissions_json text not null check (json_valid(permissions_json)),
  tools_json text not null check (json_valid(tools_json)),
  epilogues_json text not null check (json_valid(epilogues_json)),
  evidence_gates_json text not null check (json_valid(evidence_gates_json)),
  nudge_on_completion text not null
    check (nudge_on_completion in ('off', 'ask-operator', 'auto-review', 'auto-proceed')),
  require_acks integer not null check (require_acks in (0, 1)),
  revision integer not null check (revision > 0),
  -- Where the operator who set them last looks for programs.
  search_path text,
  created_at text not null,
  updated_at text not null
);

-- What a worker would tell whoever goes on with its work.
create table worker_handoffs (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  binding_id text references bindings (id),
  worker_session_id text references sessions (id),
  summary text not null,
  next_steps_json text not null check (json_valid(next_steps_json)),
  payload_json text not null check (json_valid(payload_json)),
  created_at text not null
);
create index worker_handoffs_task_id on worker_handoffs (task_id, id);

-- What was decided about a task, by whom and why.
create table manager_decisions (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  actor text not null check (actor in ('operator', 'manager', 'worker', 'conveyor')),
  manager_session_id text references sessions (id),
  manager_cycle_id integer references manager_cycles (id),
  decision text not null check (decision in ('wait', 'nudge', 'interrupt', 'escalate', 'stop', 'inspect')),
  reason text not null,
  payload_json text not null check (json_valid(payload_json)),
  created_at text not null
);
create index manager_decisions_task on manager_decisions (task_id, id);

-- What worker and manager say that they have understood: under which binding, and of which revision of the terms.
create table task_acknowledgements (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  binding_id text references bindings (id),
  role text not null check (role in ('worker', 'manager')),
  payload_json text not null check (json_valid(payload_json)),
  revision integer not null check (revision > 0),
  manager_config_revision integer,
  created_at text not null,
  correlation_id text,
  unique (task_id, role, revision)
);

-- What a worker has to deliver. `version` grows with every change; each one is a row of the history.
create table acceptance_criteria (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  criterion text not null,
  status text not null check (status in ('proposed', 'accepted', 'satisfied', 'deferred', 'rejected')),
  source text not null check (source in ('user_requested', 'manager_inferred', 'worker_proposed', 'final_audit')),
  proof text,
  rationale text,
  evidence_json text not null check (json_valid(evidence_json)),
  version integer not null check (version > 0),
  created_at text not null,
  updated_at text not null
);
create unique index acceptance_criteria_task_source_criterion on acceptance_criteria (task_id, source, criterion);
create index acceptance_criteria_task_status on acceptance_criteria (task_id, status, id);

-- How each criterion came to stand where it stands, and who said so: append-only.
create table acceptance_criteria_history (
  criterion_id integer not null references acceptance_criteria (id),
  version integer not null check (version > 0),
  actor text not null check (actor in ('operator', 'manager', 'worker', 'conveyor')),
  origin text not null,
  from_status text check (from_status in ('proposed', 'accepted', 'satisfied', 'deferred', 'rejected')),
  to_status text not null check (to_status in ('proposed', 'accepted', 'satisfied', 'deferred', 'rejected')),
  proof text,
  rationale text,
  evidence_json text not null check (json_valid(evidence_json)),
  at text not null,
  primary key (criterion_id, version)
) without rowid;
create trigger acceptance_criteria_history_no_update before update on acceptance_criteria_history
  begin select raise(abort, 'history is append-only'); end;
create trigger acceptance_criteria_history_no_delete before delete on acceptance_criteria_history
  begin select raise(abort, 'history is append-only'); end;

-- How a task ended.
alter table tasks add column ended_at text;
alter table tasks add column ended_by text;
alter table tasks add column end_reason text;

-- Closing steps, each time that one was run: under which binding and terms, and what of the worker's folder it saw.
create table epilogue_runs (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  binding_id text references bindings (id),
  step text not null check (step in ('run-tools', 'draft-pr', 'subagent-review', 'record-handoff')),
  state text not null check (state in ('running', 'succeeded', 'failed')),
  actor text not null check (actor in ('operator', 'manager', 'worker', 'conveyor')),
  origin text not null,
  manager_config_revision integer,
  tree text,
  correlation_id text,
  started_at text not null,
  finished_at text,
  result_json text check (json_valid(result_json)),
  error text,
  check ((state = 'running') = (finished_at is null))
);
create index epilogue_runs_task on epilogue_runs (task_id, step, id);

-- What a worker and its manager each propose to do next. The manager's is written without sight of the worker's.
create table task_continuations (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  proposer text not null check (proposer in ('worker', 'manager')),
  origin text not null,
  payload_json text not null check (json_valid(payload_json)),
  revision integer not null check (revision > 0),
  created_at text not null,
  correlation_id text not null,
  unique (task_id, proposer, revision)
);
create index task_continuations_round on task_continuations (task_id, correlation_id, proposer, id);

-- How somebody else compares the two. `source` says who: the confined program, or a person.
create table continuation_reviews (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  worker_continuation_id integer not null references task_continuations (id),
  manager_continuation_id integer not null references task_continuations (id),
  source text not null check (source in ('reviewer', 'operator')),
  agreement text not null check (agreement in ('match', 'compatible', 'divergent')),
  verdict text not null check (verdict in ('proceed', 'amend', 'stop')),
  addendum text,
  rationale text not null,
  subagent_run_json text not null check (json_valid(subagent_run_json)),
  operator_routing_required integer not null check (operator_routing_required in (0, 1)),
  created_at text not null,
  correlation_id text not null
);
create index continuation_reviews_task on continuation_reviews (task_id, id);

-- The program that reviews for a task, and what it may have: set by an operator.
create table continuation_reviewers (
  task_id text primary key not null references tasks (id),
  settings_json text not null check (json_valid(settings_json)),
  updated_at text not null
);

-- Reviews that were begun, one for each pair of proposals: never twice. What a dispatcher begins is taken up by a process
-- of its own.
create table continuation_review_starts (
  manager_continuation_id integer primary key not null references task_continuations (id),
  started_at text not null,
  boot_id text not null,
  give_up_uptime integer not null,
  taken_at text
);

-- What waits for a person's decision.
create table operator_questions (
  id integer primary key autoincrement,
  task_id text not null references tasks (id),
  kind text not null check (kind in ('continuation_ready', 'continuation_divergent', 'continuation_stopped',
    'review_failed')),
  correlation_id text not null,
  review_id integer references continuation_reviews (id),
  reason text not null,
  created_at text not null,
  answer text check (answer in ('proceed', 'amend', 'stop')),
  note text,
  answered_at text,
  -- A review that took place makes the question why there was none pointless: it is closed without an answer.
  superseded_by integer references continuation_reviews (id),
  superseded_at text,
  check ((superseded_by is null) = (superseded_at is null)),
  check (answered_at is null or superseded_at is null)
);
create index operator_questions_open on operator_questions (id) where answered_at is null and superseded_at is null;
-- An answer stands: who asks again asks a question of its own.
create unique index operator_questions_once on operator_questions (task_id, correlation_id, kind)
  where answered_at is null and superseded_at is null;

-- Who ended a turn is asked each time that a board is shown; a trail may be long.
create index events_turns_ended on events (session_id, id)
  where type in ('session_interrupt_begun', 'session_interrupted', 'session_answer_begun', 'session_answered');
