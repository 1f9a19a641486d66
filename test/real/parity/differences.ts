import type { RegistryPart } from '../support/distribution.ts';
import type { Exchange } from './side.ts';

/** A way in which the proxy's answers are meant to differ from the registry's. */
interface IntendedDifference {
  readonly reason: string;
  /** By default all registries. */
  readonly parts?: readonly RegistryPart[];
  /** `<row> › <step>`, as `compare` names them. */
  readonly answers: readonly string[];
  readonly what: readonly string[];
}

const body = ['body', 'header content-length'] as const;
const errorBody = [...body, 'header content-type'] as const;

const intendedDifferences: readonly IntendedDifference[] = [
  {
    reason: 'the base is ours to answer: which connector is meant is not yet said',
    answers: ['the base without its slash › 1 GET'],
    what: ['status', 'header location', ...errorBody],
  },
  {
    reason: 'the base is ours to answer, and ours has no parameter in its type',
    parts: ['docker-registry'],
    answers: ['the base (end-1) › 1 GET', 'HEAD of the base › 1 HEAD', 'POST to the base › 1 POST'],
    what: ['header content-type'],
  },
  {
    reason: 'a catalogue would tell the names of all repositories behind a credential; no client of images needs it',
    answers: ['the catalogue › 1 GET'],
    what: ['status', ...body],
  },
  {
    reason: 'the answer to what is no endpoint is the same for every registry, in the form that clients read',
    answers: ['no endpoint at all › 1 GET'],
    what: ['header x-content-type-options', ...errorBody],
  },
  {
    reason:
      'a name that is none is refused before anything is asked of the registry, with the code that is there for it',
    answers: [
      'a repository that is no name › 1 GET',
      'a repository with two separators › 1 GET',
      'a manifest of a repository that is no name › 1 PUT',
    ],
    what: ['status', 'header x-content-type-options', ...errorBody],
  },
  {
    reason: 'only methods of the specification have a right that they can be checked against',
    answers: ['OPTIONS of a manifest › 1 OPTIONS'],
    what: ['status', 'header allow', ...errorBody],
  },
  {
    reason: 'a client that forgets the slash is served, where the registry sends it to the address with one',
    answers: ['an opening POST without its slash › 1 POST'],
    what: ['status', 'header location', 'header docker-upload-uuid', 'header range'],
  },
  {
    reason: 'the addresses of uploads are ours, and one that we did not make is not taken to the registry',
    answers: [
      'the state of an unknown upload › 1 GET',
      'a chunk of an unknown upload › 1 PATCH',
      'the end of an unknown upload › 1 PUT',
      'the cancelling of an unknown upload › 1 DELETE',
    ],
    what: body,
  },
  {
    reason: 'error bodies of release 2.8 have a parameter in their type',
    parts: ['docker-registry'],
    answers: [
      'the catalogue › 1 GET',
      'the state of an unknown upload › 1 GET',
      'a chunk of an unknown upload › 1 PATCH',
      'the end of an unknown upload › 1 PUT',
      'the cancelling of an unknown upload › 1 DELETE',
    ],
    what: ['header content-type'],
  },
  {
    reason: 'release 2.8 announces the length of the blob, and breaks off after the error: what is ours is whole',
    parts: ['docker-registry'],
    answers: ['a range beyond the end of a blob › 1 GET', 'a range that is none › 1 GET'],
    what: ['failure', ...errorBody],
  },
];

/** The differences that have to be there in a row of `part`, in the words of `compare`. */
export function intendedIn(row: string, part: RegistryPart): string[] {
  return intendedDifferences
    .filter(({ parts }) => parts === undefined || parts.includes(part))
    .flatMap(({ answers, what }) => answers.flatMap((answer) => what.map((aspect) => `${answer} › ${aspect}`)))
    .filter((difference) => difference.startsWith(`${row} › `));
}

/** Names of the rows that have intended differences. */
export function rowsWithDifferences(): string[] {
  return intendedDifferences.flatMap(({ answers }) => answers.map((answer) => answer.split(' › ')[0] ?? ''));
}

/** What differs in a row, as `<row> › 2 PATCH › status`, with both values. */
export function compare(row: string, direct: readonly Exchange[], proxied: readonly Exchange[]): Map<string, string> {
  const found = new Map<string, string>();
  const note = (step: string, what: string, expected: unknown, actual: unknown) => {
    if (expected !== actual) found.set(`${row} › ${step} › ${what}`, `registry: ${expected}\nproxy: ${actual}`);
  };
  note('all', 'requests', direct.length, proxied.length);
  for (const [index, expected] of direct.entries()) {
    const actual = proxied[index];
    if (actual === undefined) continue;
    const step = `${index + 1} ${expected.method}`;
    note(step, 'status', expected.status, actual.status);
    note(step, 'failure', expected.failure, actual.failure);
    note(step, 'body', expected.body, actual.body);
    for (const name of new Set([...Object.keys(expected.headers), ...Object.keys(actual.headers)])) {
      note(step, `header ${name}`, expected.headers[name], actual.headers[name]);
    }
  }
  return found;
}
