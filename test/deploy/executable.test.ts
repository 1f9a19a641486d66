import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExecutable, type Executable } from '../../deploy/executable/build.ts';
import { architectureOf, withoutSymbols } from '../../deploy/executable/elf.ts';
import { findNode, ownArchitecture } from '../../deploy/executable/node-binary.ts';
import { bundleProgram, type Program } from '../../deploy/executable/program.ts';
import { runProgram } from '../real/support/program.ts';
import { startOracleCloud } from '../support/oracle/cloud.ts';

const group = 'credentialprovider.kubelet.k8s.io';
/** What comes with a compiler of Debian, Ubuntu, Oracle Linux or Fedora: glibc in its parts, and GCC's own libraries. */
const systemLibraries = /^(linux-vdso|ld-linux[-\w]*|lib(atomic|c|dl|gcc_s|m|pthread|stdc\+\+))\.so\.\d+$/;

const requestFor = (image: string, version = 'v1'): string =>
  JSON.stringify({ apiVersion: `${group}/${version}`, kind: 'CredentialProviderRequest', image });

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the executable', () => {
  let folder: string;
  let program: Program;
  let executable: Executable;
  /** Alone in it. */
  let empty: string;
  let alone: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'executable-test-'));
    program = await bundleProgram();
    executable = await build('built/plugin');
    empty = join(folder, 'empty');
    alone = join(empty, 'plugin');
    await mkdir(empty);
    await copyFile(executable.file, alone);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const build = (file: string) =>
    buildExecutable({ architecture: ownArchitecture(), output: join(folder, file), program });
  /** With no other environment, in a folder without any other file. */
  const run = (args: readonly string[], input = '', env: Record<string, string> = {}) =>
    runProgram('/usr/bin/env', [`--chdir=${empty}`, alone, ...args], { env, input });
  const configure = async (settings: object): Promise<string> => {
    const file = join(await mkdtemp(join(folder, 'config-')), 'config.yaml');
    const log = { file: 'journal', level: 'debug' };
    await writeFile(file, JSON.stringify({ cacheDir: 'none', log, ...settings }));
    return file;
  };
  const login = { secretType: 'BASIC', username: base64('robot'), password: base64('of the file') };
  const entry = { ...login, registryEndpoint: 'registry.example.com/team' };

  test.each(['v1', 'v1beta1', 'v1alpha1'])(
    'answers a request of %s in kind, and prints nothing else',
    async (version) => {
      const config = await configure({ imagePullSecrets: [entry] });
      const input = requestFor('registry.example.com/team/app', version);
      const { code, stdout } = await run(['--config', config], input);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({
        apiVersion: `${group}/${version}`,
        kind: 'CredentialProviderResponse',
        auth: { 'registry.example.com/team': { username: 'robot', password: 'of the file' } },
      });
    },
  );

  test('says its version, and how it is called', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await run(['--help'])).stdout).toContain('--config FILE');
  });

  test('reads no options of Node from its environment', async () => {
    const env = { NODE_OPTIONS: '--require=/none.cjs' };
    expect(await run(['--version'], '', env)).toMatchObject({ code: 0, stderr: '' });
  });

  test('starts with prepared code', async () => {
    expect((await run(['--version'])).stderr).not.toContain('Code cache data rejected');
  });

  test("asks Oracle's cloud with the SDK that it carries", async () => {
    await using cloud = await startOracleCloud();
    const { registryProtocol, ...oracle } = cloud.settings;
    const config = await configure({ registryProtocol, oracle: { ...oracle, domains: [cloud.registryHost] } });
    const { code, stdout, stderr } = await run(['--config', config], requestFor(`${cloud.registryHost}/tenancy/app`));
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const { username, password } = JSON.parse(stdout).auth[cloud.registryHost];
    expect(username).toBe('BEARER_TOKEN');
    expect(cloud.isValidToken(password)).toBe(true);
  });

  test('needs no libraries but those of the system', async () => {
    const { stdout } = await runProgram(alone, [], { env: { LD_TRACE_LOADED_OBJECTS: '1' } });
    const names = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(' ')[0]?.split('/').at(-1) ?? '');
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => !systemLibraries.test(name))).toEqual([]);
  });

  test('is the same, byte for byte, when it is built again, and its hash stands beside it', async () => {
    const again = await build('again/plugin');
    expect(again.sha256).toBe(executable.sha256);
    const written = createHash('sha256')
      .update(await readFile(again.file))
      .digest('hex');
    expect(await readFile(`${again.file}.sha256`, 'utf8')).toBe(`${written}  plugin\n`);
  });

  test('has no path of the machine that made it, and the licences of what is in it', async () => {
    const root = join(import.meta.dirname, '../..');
    expect((await readFile(executable.file)).includes(root)).toBe(false);
    const licences = await readFile(`${executable.file}.licenses.txt`, 'utf8');
    for (const name of ['Node.js', 'oci-common', 'oci-secrets', 'undici', 'zod'])
      expect(licences).toContain(`${name} `);
  });

  test('lets V8 read nothing at its start that an answer from the cache has no use for', () => {
    const { main, late } = program;
    expect(main.length).toBeLessThan(100_000);
    const rest = Object.values(late).join('');
    for (const text of ['InstancePrincipals', 'ZodError', 'YAMLParseError']) {
      expect(main).not.toContain(text);
      expect(rest).toContain(text);
    }
  });

  describe('for another architecture', () => {
    const foreign = ownArchitecture() === 'amd64' ? 'arm64' : 'amd64';
    const machine = { amd64: 62, arm64: 183 }[foreign];

    let node: string;

    /** This Node, which says that it is for the other one: the build looks no further. */
    beforeAll(async () => {
      node = join(folder, 'node-v26-linux-foreign/bin/node');
      const content = withoutSymbols(await readFile(process.execPath));
      content.writeUInt16LE(machine, 18);
      await mkdir(join(node, '..'), { recursive: true });
      await writeFile(node, content);
      await writeFile(join(node, '../../LICENSE'), 'Licence of Node');
    });

    test('is made from a Node for that one, with the same program in it', async () => {
      const output = join(folder, 'foreign/plugin');
      const { file } = await buildExecutable({ architecture: foreign, node, output, program });
      const content = await readFile(file);
      expect(architectureOf(content)).toBe(foreign);
      expect(content.includes(program.main)).toBe(true);
      expect(await readFile(`${file}.licenses.txt`, 'utf8')).toContain('Licence of Node');
    });

    test('takes Node from an archive as well', async () => {
      const archive = join(folder, 'node.tar');
      await runProgram('/usr/bin/env', ['tar', '-cf', archive, '-C', folder, 'node-v26-linux-foreign'], { env: {} });
      const found = await findNode(foreign, archive);
      expect(found.content.equals(await readFile(node))).toBe(true);
      expect(found.licence).toBe('Licence of Node');
    });

    test.each([
      ['of this architecture', () => readFile(process.execPath), /is for (amd64|arm64), not for/],
      ['of another version', async () => renamed(await readFile(node)), /is not Node v\d/],
      ['that is no program', async () => Buffer.from('#!/bin/sh'), /not a Linux program/],
    ])('refuses a file %s', async (_what, content, message) => {
      const file = join(await mkdtemp(join(folder, 'refused-')), 'node');
      await writeFile(file, await content());
      await expect(findNode(foreign, file)).rejects.toThrow(message);
    });
  });
});

/** Node that says that it is another version. */
function renamed(content: Buffer): Buffer {
  const name = `node.js/${process.version}`;
  for (let at = content.indexOf(name); at >= 0; at = content.indexOf(name, at + 1)) content.write('node.js/v1.', at);
  return content;
}
