import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSelfSigned } from '../../../support/certificate.ts';

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
  readonly isWatch: boolean;
}

export type Answer = (request: ScriptedRequest, response: Http2ServerResponse) => void | Promise<void>;

export interface ScriptedApi extends AsyncDisposable {
  /** PEM, for `localhost`. */
  readonly key: string;
  readonly cert: string;
  readonly port: number;
  readonly kubeconfig: string;
  /** The file that the kubeconfig takes its token from. */
  readonly tokenFile: string;
  readonly requests: ScriptedRequest[];
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  /** A kubeconfig for the same server, met at another port. */
  kubeconfigAt(port: number): Promise<string>;
}

/**
 * An API server over TLS, HTTP/1.1 and HTTP/2, that answers as a test says: for faults that a real one cannot be made
 * to show.
 */
export async function startScriptedApi(answer: Answer, settings: { streams?: number } = {}): Promise<ScriptedApi> {
  const { key, cert } = makeSelfSigned();
  const requests: ScriptedRequest[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const maxConcurrentStreams = settings.streams ?? 100;
  const server = createSecureServer({ key, cert, allowHTTP1: true, settings: { maxConcurrentStreams } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.once('close', () => sessions.delete(session));
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    void (async () => {
      const scripted = await readRequest(request);
      requests.push(scripted);
      await answer(scripted, response);
    })().catch(() => response.stream?.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const folder = await mkdtemp(join(tmpdir(), 'scripted-api-'));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'token-1');
  const kubeconfigAt = async (at: number): Promise<string> => {
    const file = join(folder, `kubeconfig-${at}`);
    await writeFile(file, kubeconfigText(at, cert, tokenFile));
    return file;
  };
  return {
    ...{ key, cert, port, tokenFile, requests, sessions, kubeconfigAt },
    kubeconfig: await kubeconfigAt(port),
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function sendJson(response: Http2ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

export function sendStatus(response: Http2ServerResponse, code: number, reason: string, headers = {}): void {
  const message = `this is ${reason}`;
  sendJson(response, code, { kind: 'Status', status: 'Failure', code, reason, message }, headers);
}

/** Begins a watch's body; events are written to the response then. */
export function beginWatch(response: Http2ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('\n');
}

export function eventLine(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

async function readRequest(request: Http2ServerRequest): Promise<ScriptedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { pathname, searchParams } = new URL(request.url, 'https://localhost');
  return {
    method: request.method,
    path: pathname,
    query: searchParams,
    authorization: request.headers.authorization,
    contentType: request.headers['content-type'],
    body: Buffer.concat(chunks).toString(),
    isWatch: searchParams.get('watch') === 'true',
  };
}

function kubeconfigText(port: number, cert: string, tokenFile: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [
      {
        name: 'test',
        cluster: {
          server: `https://localhost:${port}`,
          'certificate-authority-data': Buffer.from(cert).toString('base64'),
        },
      },
    ],
    users: [{ name: 'test', user: { 'token-file': tokenFile } }],
  });
}
