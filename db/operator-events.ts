import { endpointIdOf } from './endpoint.ts'

/**
 * News of endpoints for OPERATOR_WEBHOOK_URL: events of this service's own outbox, written by the statement that opens or
 * closes the breaker, and so once a turn however many dispatchers there are. They are delivered like any other.
 *
 * - endpoint.failing: its breaker opened, or it was paused by an answer of 410; one event where it is both at once
 * - endpoint.recovered: its breaker closed
 *
 * There are none of the operator's own endpoint, which could not take them, and would be news of itself for ever.
 *
 * @param url SQL of the operator's URL; null where there is none
 * @returns a data-modifying query on `turned` (see db/settle.ts)
 */
export const operatorEvents = (url: string) => `
    insert into webhook_outbox (event_type, entity_type, entity_id, url, payload)
    select n.event_type, 'endpoint', n.entity_id, ${url}, (
      select row_to_json(body) from (select
        n.event_type, webhook_time(clock_timestamp()) as "timestamp", 'endpoint' as entity_type, n.entity_id,
        null as project_id, null as ticket_id, null as task_id, null as agent_id, n.data
      ) body)
    from (
      select t.id::text as entity_id, 'endpoint.failing' as event_type, (
        select row_to_json(data) from (select ${shownUrl} as url, case t.turn when 'opened' then 'open' else 'paused' end as status,
          t.in_row as failures, webhook_time(t.since) as since, t.new_status as last_status, webhook_text(t.new_error) as last_error
        ) data) as data
      from turned t
      where t.turn = 'paused' or t.turn = 'opened' and not (t.pause and t.paused_at is null)
      union all
      select t.id::text, 'endpoint.recovered', (
        select row_to_json(data) from (select ${shownUrl} as url,
          case when t.pause or t.paused_at is not null then 'paused' else 'healthy' end as status,
          t.failures, webhook_time(t.failing_since) as since,
          case when isfinite(t.failing_since) then trunc(extract(epoch from now()) - extract(epoch from t.failing_since)) end as down_seconds,
          t.new_status as last_status, webhook_text(t.last_error) as last_error
        ) data)
      from turned t
      where t.turn = 'closed'
    ) n
    where ${url} is not null and n.entity_id <> ${endpointIdOf(url)}::text`

/** An endpoint has no query; of what SQL has stored as its URL, what may be credentials is cut off. */
const shownUrl = String.raw`case when t.url ~* '^https?://[^/\\@[:space:]]*(/|$)' then t.url
          else regexp_replace(t.url, '^(https?://)?.*@', '\1', 'i') end`
