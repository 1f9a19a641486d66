/** What a text says in JSON; undefined for one that is none, as JSON itself cannot say undefined. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
