import fc from 'fast-check';
import { arbitraryText } from '../platform/arbitrary-text.ts';

export interface FuzzRun {
  readonly runs: number;
  readonly seed: number;
}

/** A parser, and what has to hold for everything that it is given. */
export interface Fuzzed {
  readonly name: string;
  /** Rejects with the smallest input found that breaks a promise, and the seed. */
  check(run: FuzzRun): Promise<void>;
}

export const fuzzed = <T>(name: string, property: fc.IRawProperty<T>): Fuzzed => ({
  name,
  check: async ({ runs, seed }) => {
    await fc.assert(property, { numRuns: runs, seed });
  },
});

/** What attacks on parsers of names and addresses are made of. */
const pieces = fc.constantFrom(
  ...['..', '.', '/', '//', '\\', '%2e', '%2e%2e%2f', '%252e%252e%252f', '%2F', '%5c', '%00', '%0d%0a', '%', '%zz'],
  ...['\0', '\t', '\n', '\r', '\r\n', ' ', '\x7f', '\x85', '\u212a', '\u0130', '\uff0e', '\u3002', '\ud800', '\xff'],
  ...['?', '#', ';', '&', '=', '@', ':', ',', '<', '>', '"', "'", '[', ']', '{', '*', '+', '~', '_', '-', '--', '__'],
  ...['http://', 'https://', '//evil.example.com', 'evil.example.com', '169.254.169.254', '127.1', '0x7f', '[::1]'],
  ...['__proto__', 'constructor', 'toString', 'v2', 'manifests', 'blobs', 'uploads', 'tags/list', 'referrers'],
  ...[
    'namespaces',
    'connectors',
    'namespaces/other/connectors/secret/',
    'c-secret.other',
    'A'.repeat(300),
    'a/'.repeat(99),
  ],
);

/** Valid texts, the same with up to three wounds, and any text at all. */
export function mutated(valid: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const wound = fc.tuple(fc.nat(), fc.nat(4), fc.oneof(pieces, arbitraryText({ maxLength: 4 })));
  const wounded = fc.tuple(valid, fc.array(wound, { minLength: 1, maxLength: 3 })).map(([text, wounds]) => {
    let whole = text;
    for (const [place, removed, inserted] of wounds) {
      const at = place % (whole.length + 1);
      whole = whole.slice(0, at) + inserted + whole.slice(at + removed);
    }
    return whole;
  });
  return fc.oneof(
    { weight: 2, arbitrary: valid },
    { weight: 6, arbitrary: wounded },
    { weight: 1, arbitrary: arbitraryText() },
    { weight: 1, arbitrary: fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')) },
  );
}

/** A promise that was not kept. */
export function promise(isKept: boolean, what: string, about?: unknown): asserts isKept {
  if (!isKept) throw new Error(about === undefined ? what : `${what}: ${JSON.stringify(about)}`);
}

/** What `attempt` returns, or undefined where it throws what it says it may throw. */
export function unlessRefused<T>(attempt: () => T, isRefusal: (error: unknown) => boolean): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
