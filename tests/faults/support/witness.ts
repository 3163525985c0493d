import type pg from 'pg'

/**
 * Sees, from inside the database, who changes a leased row: sessions are told apart by their application_name, which each
 * dispatcher's DATABASE_URL sets. A row under a lease that has not expired may be changed by the session that claimed it
 * only; anything else is written down, and is a breach of I5. It takes no part in the work.
 */
export async function createWitness(client: pg.Client): Promise<void> {
  await client.query(`
    create table witness_lease (
      token uuid not null, event_id uuid not null, attempt integer not null, holder text not null,
      claimed_at timestamptz not null default clock_timestamp(), ended_at timestamptz,
      primary key (event_id, token)
    );
    create table witness_breach (event_id uuid not null, what text not null, at timestamptz default clock_timestamp());

    create function witness() returns trigger language plpgsql as $$
    declare
      me text := current_setting('application_name');
      owner text := (select holder from witness_lease w where w.event_id = old.event_id and token = old.lease_token);
      leased boolean := old.lease_token is not null and old.lease_until > clock_timestamp();
    begin
      if leased and owner is distinct from me then
        insert into witness_breach (event_id, what)
        values (old.event_id, format('%s by %s of a row that %s holds', lower(tg_op), me, owner));
      end if;
      update witness_lease set ended_at = clock_timestamp() where event_id = old.event_id and token = old.lease_token;
      if tg_op = 'UPDATE' and new.lease_token is not null and new.lease_token is distinct from old.lease_token then
        if leased then
          insert into witness_breach (event_id, what) values (old.event_id, format('claim by %s under a lease', me));
        end if;
        insert into witness_lease (token, event_id, attempt, holder)
        values (new.lease_token, new.event_id, new.attempts, me);
      end if;
      return null;
    end $$;
    create trigger witness after update or delete on webhook_outbox for each row execute function witness()`)
}
