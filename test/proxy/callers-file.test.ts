import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Action } from '../../credentials/grant.ts';
import { tokenDigest } from '../../proxy/caller.ts';
import { CallersFileError, openCallersFile, parseCallers } from '../../proxy/callers-file.ts';

const token = 'tok-canary-0123456789';
const other = 'tok-canary-9876543210';

const fileOf = (...callers: object[]) => JSON.stringify({ callers });
const ci = { name: 'ci', token, connectors: ['*'] };

function errorOf(text: string): string {
  try {
    parseCallers(text, 'callers.yaml');
  } catch (error) {
    if (error instanceof CallersFileError) return error.message;
    throw error;
  }
  return 'no error';
}

describe('a callers file', () => {
  test('names callers by their tokens or the digests of these, in YAML or JSON', () => {
    const yaml = `callers:
      - {name: ci, token: ${token}, connectors: ['*']}
      - name: build
        tokenSha256: ${tokenDigest(other)}
        connectors: [demo/harbor]
        actions: [pull, push]`;
    const callers = parseCallers(yaml, 'callers.yaml');
    expect(callers.identify(token)?.name).toBe('ci');
    expect(callers.identify(other)?.name).toBe('build');
    for (const unknown of [undefined, '', 'somebody', tokenDigest(token), tokenDigest(other), `${token} `]) {
      expect(callers.identify(unknown)).toBe(undefined);
    }
    expect(parseCallers(fileOf(ci), 'callers.json').identify(token)?.name).toBe('ci');
    expect(parseCallers(fileOf(), 'callers.json').identify(token)).toBe(undefined);
  });

  test.each<[string[], Action[] | undefined, Action, string, boolean]>([
    [['*'], undefined, 'pull', 'demo/harbor', true],
    [['*'], undefined, 'push', 'demo/harbor', false],
    [['*'], ['push'], 'pull', 'demo/harbor', false],
    [['*'], ['push'], 'push', 'demo/harbor', true],
    [['*'], [], 'pull', 'demo/harbor', false],
    [['demo/*'], undefined, 'pull', 'demo/harbor', true],
    [['demo/*'], undefined, 'pull', 'demo2/harbor', false],
    [['demo/harbor'], undefined, 'pull', 'demo/harbor', true],
    [['demo/harbor'], undefined, 'pull', 'demo/harbor2', false],
    [['demo/harbor'], undefined, 'pull', 'other/harbor', false],
    [[' demo/harbor '], undefined, 'pull', 'demo/harbor', true],
    [['a/b', 'demo/*'], undefined, 'pull', 'demo/harbor', true],
    [[], undefined, 'pull', 'demo/harbor', false],
  ])('with connectors %j and actions %j: may %s through %s: %s', (connectors, actions, action, key, expected) => {
    const callers = parseCallers(fileOf({ ...ci, connectors, ...(actions && { actions }) }), 'callers.json');
    const [namespace = '', name = ''] = key.split('/');
    expect(callers.identify(token)?.may(action, { namespace, name })).toBe(expected);
  });

  test.each<[string, string]>([
    ['callers: ', ''],
    ['callers: ', '[]'],
    ['callers: unknown fields: "users"', '{"callers": [], "users": []}'],
    ['callers: unknown fields: a key too long to be one', `{"callers": [], "${token}": 1}`],
    ['callers: ', `callers: {"${token}": ci}`],
    ['callers.0.name: ', fileOf({ ...ci, name: '' })],
    ['callers.0.token: must have at least 16 characters', fileOf({ ...ci, token: token.slice(0, 15) })],
    ['callers.0.token: must hold no white space', fileOf({ ...ci, token: `${token} ` })],
    ['callers.0.token: ', `callers: [{name: ci, connectors: [], token: 12345678901234567890}]`],
    ['callers.0.tokenSha256: ', fileOf({ name: 'ci', tokenSha256: token, connectors: [] })],
    ['callers.0: needs either token or tokenSha256', fileOf({ ...ci, tokenSha256: tokenDigest(token) })],
    ['callers.0: needs either token or tokenSha256', fileOf({ name: 'ci', connectors: [] })],
    ['callers.0: unknown fields: "tokens", a key too long to be one', fileOf({ ...ci, tokens: '', [token]: '' })],
    ['callers.0.connectors: ', fileOf({ name: 'ci', token })],
    ['callers.0.connectors.0: must be', fileOf({ ...ci, connectors: [token] })],
    ['callers.0.connectors.1: must be', fileOf({ ...ci, connectors: ['*', 'demo/*/x'] })],
    ['callers.0.connectors.0: must be', fileOf({ ...ci, connectors: ['*/harbor'] })],
    ['callers.0.actions.0: ', fileOf({ ...ci, actions: [token] })],
    ['caller "twin" has the token of another caller', fileOf(ci, { ...ci, name: 'twin' })],
    [
      'caller "twin" has the token of another caller',
      fileOf(ci, { name: 'twin', tokenSha256: tokenDigest(token), connectors: [] }),
    ],
  ])('that is wrong is refused with its name and field: %s', (reason, text) => {
    const message = errorOf(text);
    expect(message).toContain(`callers.yaml: ${reason}`);
    expect(message).not.toContain(token.slice(0, 15));
    expect(message).not.toContain('12345678901234567890');
  });

  test.each([
    `callers:\n  - name: ci\n    token: "${token}`,
    `callers:\n  - name: ci\n   token: ${token}`,
    `callers: []\n  - {token: ${token}`,
    `callers: [{token: &a ${token}, name: *a, connectors: []}]`,
    `callers: []\ncallers: [{name: ci, token: ${token}, connectors: []}]`,
    `callers: []\n---\ncallers: [{name: ci, token: ${token}, connectors: []}]`,
    `{"callers": [{"token": "${token}", `,
  ])('that is no YAML is refused with its name and line, and nothing that is in it: %j', (text) => {
    expect(errorOf(text)).toMatch(/^callers\.yaml(:\d+)?: is not YAML or JSON$/);
  });
});

describe('an open callers file', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'callers-'));
    file = join(folder, 'callers.yaml');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const replace = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };

  test('is read again when it changes, and its last good version stays while a later one is bad', async () => {
    await replace(fileOf(ci));
    const reloads: (CallersFileError | undefined)[] = [];
    let reloaded = Promise.withResolvers<void>();
    const callers = await openCallersFile(file, {
      pollMs: 2,
      onReload: (error) => {
        reloads.push(error);
        reloaded.resolve();
      },
    });
    const reload = async (change: Promise<unknown>) => {
      reloaded = Promise.withResolvers();
      await change;
      await reloaded.promise;
      return reloads.at(-1);
    };
    expect(callers.identify(token)?.name).toBe('ci');

    expect(await reload(replace(`callers: [{name: ci, token: ${other}`))).toBeInstanceOf(CallersFileError);
    expect(callers.identify(token)?.name).toBe('ci');

    expect(await reload(replace(fileOf({ ...ci, name: 'new', token: other })))).toBe(undefined);
    expect(callers.identify(token)).toBe(undefined);
    expect(callers.identify(other)?.name).toBe('new');

    expect((await reload(rm(file)))?.message).toBe(`${file}: cannot be read (ENOENT)`);
    expect(callers.identify(other)?.name).toBe('new');

    expect(await reload(replace(fileOf(ci)))).toBe(undefined);
    expect(callers.identify(token)?.name).toBe('ci');
    // Many looks at a file that does not change.
    await wait(50);
    callers.close();
    expect(reloads).toHaveLength(4);
    expect(reloads.map(String).join()).not.toContain('tok-canary');
  });

  test('cannot be opened when it is missing or bad', async () => {
    await expect(openCallersFile(file)).rejects.toThrow(`${file}: cannot be read (ENOENT)`);
    await replace('callers: 1');
    await expect(openCallersFile(file)).rejects.toThrow(CallersFileError);
  });
});
