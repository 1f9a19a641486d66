/**
 * The names that a piece of a query between two `&` has for whoever reads it: in lower case, because some servers read
 * names in either, and several where it holds a `;`, which was a separator once and still is one to some.
 */
export function queryNames(pair: string): readonly string[] {
  return pair.split(';').map((part) => ([...new URLSearchParams(part).keys()][0] ?? '').toLowerCase());
}
