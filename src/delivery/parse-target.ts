/**
 * Reads the URL of a delivery. It may have been stored by anybody's SQL, so that nothing is taken for
 * granted: a URL that cannot be sent to gives the reason as a string, which never quotes the URL.
 */
export function parseTarget(url: string): URL | string {
  const target = URL.parse(url)
  if (target === null) return 'address not allowed: not a URL'
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    return 'address not allowed: the scheme is neither http nor https'
  }
  if (target.username !== '' || target.password !== '')
    return 'address not allowed: the URL holds credentials'
  return target
}
