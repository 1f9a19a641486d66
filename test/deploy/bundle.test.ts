import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bundle, bundle } from '../../deploy/bundle.ts';
import { closureOf } from '../../deploy/executable/program.ts';
import { runProgram } from '../real/support/program.ts';
import { startOracleCloud } from '../support/oracle/cloud.ts';

describe('the bundle', () => {
  let built: Bundle;

  beforeAll(async () => {
    built = await bundle(await mkdtemp(join(tmpdir(), 'bundle-')));
  });

  afterAll(() => rm(built.folder, { recursive: true, force: true }));

  const run = (file: string, ...args: string[]) =>
    runProgram(process.execPath, [join(built.folder, file), ...args], { env: {} });
  const packagesOf = (entryPoint: string) => {
    const { outputs } = built.metafile;
    const file = Object.keys(outputs).find((path) => outputs[path]?.entryPoint === entryPoint) ?? '';
    const inputs = [...closureOf(outputs, file)].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
    const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
    expect(inputs).toContain(entryPoint);
    return new Set(names.filter((name) => name !== undefined));
  };

  test('runs by itself, far from node_modules', async () => {
    const { code, stdout, stderr } = await run('bin/oci-connector', '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('controller');
  });

  test.each([
    ['cli/node-command.ts', ['@kubernetes/client-node', 'fastify', '@peculiar/x509', 'yaml']],
    ['cli/standalone-command.ts', ['@kubernetes/client-node', 'oci-common', 'oci-secrets']],
    ['cli/controller-command.ts', ['oci-common', 'oci-secrets']],
    ['cli/csi-command.ts', ['@kubernetes/client-node', 'fastify', '@peculiar/x509', 'yaml']],
  ])('%s reads nothing that it has no use for', (entryPoint, foreign) => {
    const packages = packagesOf(entryPoint);
    expect(packages).toContain('undici');
    expect(foreign.filter((name) => packages.has(name))).toEqual([]);
  });

  test('the probe reads nothing but itself, and asks a socket', async () => {
    expect(packagesOf('cli/probe.ts').size).toBe(0);
    const socket = join(built.folder, 'm.sock');
    const server = createServer(({ url }, response) =>
      response.writeHead(url === '/livez' ? 200 : 503).end('draining\n'),
    );
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      expect(await run('bin/oci-connector-probe', '--socket', socket, '--path', '/livez')).toMatchObject({ code: 0 });
      expect(await run('bin/oci-connector-probe', '--socket', socket)).toMatchObject({ code: 1, stderr: 'draining\n' });
    } finally {
      server.close();
    }
    expect(await run('bin/oci-connector-probe', '--socket', join(built.folder, 'none'))).toMatchObject({ code: 1 });
  });

  test('asks Oracle’s cloud with the SDK that it carries', async () => {
    await using cloud = await startOracleCloud();
    const { metadataUrl, federationUrl } = cloud.settings;
    const config = join(built.folder, 'doctor.yaml');
    await writeFile(
      config,
      JSON.stringify({
        registryProtocol: 'http',
        oracle: { metadataUrl, federationUrl, domains: [cloud.registryHost] },
      }),
    );
    const { code, stdout } = await run(
      'main.js',
      'doctor',
      '--oci',
      '--config',
      config,
      '--registry',
      cloud.registryHost,
    );
    expect(stdout).toMatch(/^token +ok/m);
    expect(code).toBe(0);
  });

  test('carries the licence of each package that is in it, and no path of the machine that made it', async () => {
    const licences = await readFile(join(built.folder, 'LICENSES.txt'), 'utf8');
    const inputs = Object.keys(built.metafile.inputs).map(
      (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1],
    );
    for (const name of new Set(inputs.filter((name) => name !== undefined))) expect(licences).toContain(`${name} `);
    const root = join(import.meta.dirname, '../..');
    for (const file of Object.keys(built.metafile.outputs)) {
      expect((await readFile(join(root, file), 'utf8')).includes(root), file).toBe(false);
    }
  });
});
