import type { RouteDoc } from './openapi/route-doc.ts'
import { deliveryDiscard, deliveryList } from './schemas/delivery.ts'
import { deliveryDetail, deliveryPage, discarded, replayed } from './schemas/delivery-answer.ts'

const path = '/api/v1/deliveries/{event_id}'

export const deliveryDocs: RouteDoc[] = [
  {
    method: 'get',
    path: '/api/v1/deliveries',
    id: 'listDeliveries',
    tag: 'deliveries',
    summary: 'List what is owed and what became of it',
    query: deliveryList,
    answer: { status: 200, description: 'A page', schema: deliveryPage },
  },
  {
    method: 'get',
    path,
    id: 'getDelivery',
    tag: 'deliveries',
    summary: 'Show an event, its payload, why it waits, and every attempt',
    answer: { status: 200, description: 'The event', schema: deliveryDetail },
  },
  {
    method: 'post',
    path: `${path}/replay`,
    id: 'replayDelivery',
    tag: 'deliveries',
    summary: 'Deliver a settled event again',
    description:
      'Under the same event_id, to the URL that is configured now. It goes on counting attempts; its retry schedule starts over. No body is needed.',
    answer: { status: 202, description: 'It is owed again', schema: replayed },
    problems: {
      409: 'It is owed, or no URL is configured now',
      413: 'A body came that is larger than 64 KiB',
    },
  },
  {
    method: 'post',
    path: `${path}/discard`,
    id: 'discardDelivery',
    tag: 'deliveries',
    summary: 'Give up an event that is owed',
    body: { schema: deliveryDiscard, optional: true },
    answer: { status: 200, description: 'It is discarded, and can be replayed', schema: discarded },
    problems: { 409: 'It is settled, or in flight now' },
  },
]
