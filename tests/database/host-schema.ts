/** A host's database as it may have been for years: its own types, rules, rows and habits. */
export const richHost = `
  create schema "Old Stuff";
  create schema app;
  create type task_state as enum ('pending', 'assigned', 'running', 'completed', 'failed', 'cancelled');
  create collation case_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  create domain name_text as text collate case_blind;
  create domain short_key as varchar(40) check (value <> '');
  create table projects (
    id short_key primary key, name name_text not null, "Owner Id" integer not null default 7,
    status char(12) default 'new', created_at timestamp, budget numeric(12, 2) check (budget >= 0), updated_at timestamptz);
  create table tickets (
    id varchar(40) constraint "ticket PK" primary key, project_id short_key references projects on delete cascade,
    title varchar(100) not null unique, "Mixed Case" text default 'é', status varchar(20) not null,
    search tsvector generated always as (to_tsvector('simple', title)) stored);
  create table tasks (
    id varchar(40) primary key, ticket_id varchar(40) not null references tickets, title varchar(200) not null,
    status task_state not null default 'pending', "select" text, result jsonb not null default '{}',
    started_at timestamp, completed_at timestamp, created_at timestamptz, retry_count smallint not null default 9,
    constraint "not too many" check (retry_count < 100)) with (fillfactor = 70);
  create table agents (id name_text primary key, status text, "LastSeen" timestamptz, tags text[]);
  create index "Task Index" on tasks (status, (lower(title))) where status <> 'completed';
  create table audit (id bigint generated always as identity primary key, task_id varchar(40) references tasks, note text);
  comment on table tasks is 'Ours, and nobody else''s';
  comment on column tasks.status is 'As in the handbook';
  comment on index "Task Index" is 'For the board';
  create function touch() returns trigger language plpgsql as $$ begin new.created_at := coalesce(new.created_at, now()); return new; end $$;
  create trigger "Touch" before insert or update on tasks for each row execute function touch();
  create function note() returns trigger language plpgsql as $$ begin
    insert into audit (task_id, note) values (new.id, old.status || ' to ' || new.status); return null; end $$;
  create trigger note after update of status on tasks for each row execute function note();
  create view board as select t.id, t.title, k.title as ticket from tasks t join tickets k on k.id = t.ticket_id;
  alter table agents enable row level security;
  create policy everyone on agents using (true);
  grant select on tasks to public;
  grant update (status) on tasks to public;
  insert into projects (id, name, budget, created_at) values ('p1', 'Eins', 12.50, null), ('p2', 'Zwei', null, '2020-01-01');
  insert into tickets (id, project_id, title, status) values ('k1', 'p1', 'Größe', 'open'), ('k2', null, 'other', 'done');
  insert into tasks (id, ticket_id, title, status, result, started_at) values
    ('t1', 'k1', 'a', 'running', '{"a": [1, 2.50, null]}', '2024-02-29 12:00:00.123456'), ('t2', 'k2', 'b', 'completed', '[]', null);
  insert into agents (id, status, tags) values ('A1', null, '{a,"b c"}');
  create table app.tasks_archive (like tasks including all)`
