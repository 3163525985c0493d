/** A URL as answers and the audit show it: who reads them need not know what its query and credentials hold. */
export function withoutSecrets(url: string): string {
  const parsed = URL.parse(url)
  if (parsed !== null && parsed.origin !== 'null') return parsed.origin + parsed.pathname
  // SQL may have stored anything.
  const endpoint = url.split(/[?#]/, 1)[0]!
  return endpoint.slice(endpoint.lastIndexOf('@') + 1)
}
