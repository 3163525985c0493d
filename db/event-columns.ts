/** What an event is, in SQL: the columns that it takes along from webhook_outbox to webhook_history. */
export const eventColumns = `event_id, event_type, entity_type, entity_id, project_id, ticket_id, task_id, agent_id,
      url, payload, traceparent`
