import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  canonicalRegistry,
  type ImageReference,
  parseImageReference,
  repositoryOf,
} from '../../connectors/image-reference.ts';
import { namesAndSuffixes, references } from '../connectors/arbitraries.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { partPath } from './support/find-part.ts';
import { requireParts } from './support/parts.ts';
import { runProgram } from './support/program.ts';

/** What test/tools/reference says of a text: the answer of distribution/reference, which the container runtimes use. */
type Answer =
  | { readonly ok: true; readonly domain: string; readonly path: string; readonly tag: string; readonly digest: string }
  | { readonly ok: false; readonly error: string };

async function ask(texts: readonly string[]): Promise<readonly Answer[]> {
  const input = texts.map((text) => `${JSON.stringify(text)}\n`).join('');
  const { code, stdout, stderr } = await runProgram(partPath('reference'), [], { env: {}, input });
  if (code !== 0) throw new Error(stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Names of Docker Hub that we fold and Go does not: `docker.io` and `index.docker.io` are folded by both. */
const isFoldedByUsOnly = ({ domain, registry }: ImageReference): boolean =>
  registry === 'docker.io' && domain !== undefined && !['docker.io', 'index.docker.io'].includes(domain);

/** References that Go takes and we do not: they stay as they are, and whoever pulls finds out. */
const refusedByUsOnly: readonly ((text: string, domain: string) => boolean)[] = [
  // `my_registry.test/app`: the first component is a registry by its dot, but no host name. Go makes it part of the path.
  (_text, domain) => domain === '',
  // Longer than any name, tag and digest together.
  (text) => text.length > 1024,
  // A port that no connection has.
  (text) => Number(/^[^/]*:(\d+)\//.exec(text)?.[1] ?? 0) > 65535,
  // Brackets around what is no IPv6 address: Go's pattern is any row of digits and colons.
  (text) => /^\[[^\]]*\]/.test(text) && !URL.canParse(`http://${/^\[[^\]]*\]/.exec(text)?.[0]}`),
  // `library/` counts in the length of a name that we fold.
  (text) => /^[^/]*docker\.io(:0*443)?\/[^/:@]{248,255}(?![^:@])/i.test(text),
];

/** How our reading of a text differs from Go's without being meant to; undefined when it does not. */
function differenceOf(text: string, answer: Answer): string | undefined {
  const parsed = parseImageReference(text);
  if (!parsed.ok && !answer.ok) return undefined;
  if (!answer.ok) return `Go refuses it: ${answer.error}`;
  if (!parsed.ok) {
    const isMeant = refusedByUsOnly.some((rule) => rule(text, answer.domain));
    return isMeant ? undefined : `we refuse it: ${parsed.reason}`;
  }
  const { reference } = parsed;
  const ours = {
    // Both sides in our spelling: ports without leading zeros, IPv6 addresses compressed, lower case.
    registry: reference.registry,
    path: isFoldedByUsOnly(reference) ? reference.path : repositoryOf(reference),
    tag: reference.tag ?? '',
    digest: reference.digest ?? '',
  };
  const { domain, path, tag, digest } = answer;
  const theirs = { registry: canonicalRegistry(domain), path, tag, digest };
  return JSON.stringify(ours) === JSON.stringify(theirs) ? undefined : `${JSON.stringify([ours, theirs])}`;
}

const nasty = fc.constantFrom(
  ...':@/.-_[]A0a% \n\t\0é\ud800',
  '::',
  '//',
  '__',
  '..',
  'sha256:',
  'localhost',
  'docker.io/',
);
const mutated = fc
  .tuple(
    references,
    fc.array(fc.tuple(fc.nat(120), fc.nat(2), fc.oneof(nasty, fc.constant(''))), { minLength: 1, maxLength: 3 }),
  )
  .map(([text, cuts]) =>
    cuts.reduce((rest, [at, length, piece]) => rest.slice(0, at) + piece + rest.slice(at + length), text),
  );
const assembled = fc
  .array(fc.oneof(nasty, fc.constantFrom(...'abcxyz0189')), { maxLength: 16 })
  .map((parts) => parts.join(''));
const long = fc
  .tuple(namesAndSuffixes, fc.integer({ min: 230, max: 270 }), fc.constantFrom('/', 'a', ''))
  .map(([[name, suffix], length, piece]) => `${name}${piece}${'x'.repeat(Math.max(0, length - name.length))}${suffix}`);

requireParts('reference')('image references, beside distribution/reference', () => {
  test.each([
    ['valid', references],
    ['nearly valid', mutated],
    ['put together from hostile pieces', assembled],
    ['about as long as may be', long],
    ['of any characters', arbitraryText({ maxLength: 40 })],
  ])('%s are read alike', async (_what, arbitrary) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    // JSON has no half surrogate pairs, and neither does a pod.
    const texts = fc.sample(arbitrary, { numRuns: 5000, seed }).map((text) => text.toWellFormed());
    const answers = await ask(texts);
    expect(answers).toHaveLength(texts.length);
    const differences = texts.flatMap((text, at) => {
      const difference = differenceOf(text, answers[at] ?? { ok: false, error: 'no answer' });
      return difference === undefined ? [] : [`${JSON.stringify(text)}: ${difference}`];
    });
    expect(differences, `with seed ${seed}`).toEqual([]);
  });

  test('the differences that are meant are there', async () => {
    const texts = ['my_registry.test/a', 'r.test:65536/a', '[1:2:3]/a', `registry-1.docker.io/${'a'.repeat(250)}`];
    const answers = await ask(texts);
    expect(answers.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    expect(texts.map((text) => parseImageReference(text).ok)).toEqual([false, false, false, false]);
  });
});
