import type { Page } from '../client/types.ts'

/** Reads a list page by page, up to `most` items: a long one must not keep its reader waiting for ever. */
export async function readPages<Item>(
  read: (cursor: string | undefined) => Promise<Page<Item>>,
  most: number,
): Promise<{ items: Item[]; truncated: boolean }> {
  const items: Item[] = []
  let cursor: string | undefined
  do {
    const page = await read(cursor)
    items.push(...page.items)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined && items.length < most)
  return { items: items.slice(0, most), truncated: cursor !== undefined || items.length > most }
}
