import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partPath } from './find-part.ts';
import { runProgram } from './program.ts';
import { type RegistryRequest, readListeningPort, readRegistryRequests } from './registry-log.ts';
import { startServer } from './server-process.ts';
import type { Credential, TokenIssuer } from './token-issuer.ts';

/** The parts that are a Distribution registry: release 3, and Debian's 2.8. */
export const registryParts = ['registry', 'docker-registry'] as const;

export type RegistryPart = (typeof registryParts)[number];

export interface RealRegistryOptions {
  /** Bearer tokens of an issuer, or Basic; by default the registry is open. */
  readonly access?: { readonly issuer: TokenIssuer } | { readonly basic: Credential };
  /** Where it listens, by default 127.0.0.1. */
  readonly address?: string;
  /** By default plain HTTP. */
  readonly tls?: { readonly certificatePem: string; readonly keyPem: string };
  /** By default a DELETE is refused (405), as in the registry itself. */
  readonly isDeleteEnabled?: boolean;
}

/** A running registry that keeps its content in a temporary folder. */
export interface RealRegistry {
  /** `<address>:<port>`. */
  readonly host: string;
  readonly origin: string;
  readonly pid: number;
  /** Every request that the registry has answered under /v2/ so far, in the order of its log. */
  requests(): Promise<readonly RegistryRequest[]>;
  stop(): Promise<void>;
}

/** Starts `part` on a free port of 127.0.0.1 and waits until it listens. */
export async function startRegistry(part: RegistryPart, options: RealRegistryOptions = {}): Promise<RealRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-'));
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    const config = join(folder, 'config.json');
    await writeFile(config, JSON.stringify(await makeConfig(folder, options)));
    // Release 3 would look for a collector of traces at localhost:4318.
    const env = { OTEL_TRACES_EXPORTER: 'none' };
    const server = await startServer(partPath(part), ['serve', config], { env });
    const port = await server.waitFor(readListeningPort).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
    const host = `${options.address ?? '127.0.0.1'}:${port}`;
    const origin = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
    let marks = 0;
    return {
      host,
      origin,
      pid: server.pid,
      requests: async () => {
        marks += 1;
        const mark = `/v2/?mark=${marks}`;
        await ask(`${origin}${mark}`);
        await server.waitFor((line) => readRegistryRequests([line]).find(({ uri }) => uri === mark));
        return readRegistryRequests(server.lines).filter(({ uri }) => !uri.startsWith('/v2/?mark='));
      },
      stop: async () => {
        await server.stop();
        await removeFolder();
      },
    };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

/** The configuration file: YAML for a person, and JSON is YAML. */
async function makeConfig(folder: string, options: RealRegistryOptions) {
  const { access, tls, address = '127.0.0.1', isDeleteEnabled = false } = options;
  return {
    version: '0.1',
    log: { level: 'info', formatter: 'json', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: join(folder, 'storage') },
      delete: { enabled: isDeleteEnabled },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: `${address}:0`,
      secret: 'of one process only',
      ...(tls === undefined ? {} : { tls: await writeTls(folder, tls) }),
    },
    ...(access === undefined ? {} : { auth: await makeAuth(folder, access) }),
  };
}

async function makeAuth(folder: string, access: NonNullable<RealRegistryOptions['access']>) {
  if ('basic' in access) {
    const path = join(folder, 'htpasswd');
    const { username, password } = access.basic;
    const { stdout } = await runProgram(partPath('htpasswd'), [], { env: {}, input: `${username}\n${password}\n` });
    await writeFile(path, stdout);
    return { htpasswd: { realm: 'test', path } };
  }
  const { realm, issuer, service, certificatePem } = access.issuer;
  const rootcertbundle = join(folder, 'issuer.pem');
  await writeFile(rootcertbundle, certificatePem);
  return { token: { realm, issuer, service, rootcertbundle } };
}

async function writeTls(folder: string, tls: NonNullable<RealRegistryOptions['tls']>) {
  const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  await writeFile(files.certificate, tls.certificatePem);
  await writeFile(files.key, tls.keyPem, { mode: 0o600 });
  return files;
}

/** The registry logs a request after its answer is sent: one more request, once logged, shows that earlier ones are too. */
async function ask(url: string): Promise<void> {
  const options = { agent: false, rejectUnauthorized: false } as const;
  const request = url.startsWith('https:') ? httpsRequest(url, options) : httpRequest(url, options);
  request.end();
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
}
