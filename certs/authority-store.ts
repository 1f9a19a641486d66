import { type Authority, parseAuthority, serializeAuthority } from './authority.ts';
import { type Lifetimes, rotate } from './rotation.ts';
import { settle, type TextStore } from './text-store.ts';

/**
 * The stored authority, made or rotated where that is due at `now`. What comes back is what the store holds, so
 * processes that start together agree. A text that cannot be read is an error and is left alone: a new CA in its
 * place would be trusted by nobody.
 */
export function loadAuthority(
  store: TextStore,
  now: number,
  options: Lifetimes & { readonly name: string },
): Promise<Authority> {
  return settle(store, async (text) => {
    const authority = text === undefined ? [] : parseStored(text, store.location);
    const rotated = await rotate(authority, now, options);
    const isDue = text === undefined || rotated !== authority;
    return { text: isDue ? serializeAuthority(rotated) : text, value: rotated };
  });
}

function parseStored(text: string, location: string): Authority {
  const parsed = parseAuthority(text);
  if ('authority' in parsed) return parsed.authority;
  throw new Error(
    `${location} holds no certificate authority (${parsed.reason}): restore it from a copy, or delete it to start ` +
      'with a new authority, whose certificate every client has to be given again',
  );
}
