import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { ControlPlaneFiles } from './control-plane-files.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A GET of an http or https URL, by `admin` where given, and then only of a server of the same authority; undefined where there is no answer. */
export function ask(url: string, admin?: ControlPlaneFiles['admin']): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  const tls =
    admin === undefined
      ? { rejectUnauthorized: false }
      : { ca: admin.authorityPem, cert: admin.certificatePem, key: admin.keyPem };
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  const asked = request(url, { ...tls, agent: false, timeout: 5_000 }, (response) => {
    text(response).then(
      (body) => resolve({ status: response.statusCode ?? 0, body }),
      () => resolve(undefined),
    );
  });
  asked.on('timeout', () => asked.destroy());
  asked.on('error', () => resolve(undefined));
  asked.end();
  return promise;
}

/** Whether a GET is answered with 200. */
export async function isServing(url: string, admin?: ControlPlaneFiles['admin']): Promise<boolean> {
  return (await ask(url, admin))?.status === 200;
}

export interface WaitOptions {
  /** What is waited for, for the error. */
  readonly what: string;
  isReady(): Promise<boolean>;
  /** Whether it can still happen, by default always. */
  isAlive?(): boolean;
  /** By default 60 s. */
  readonly timeoutMs?: number;
}

/** Resolves once `isReady`. Rejects when nothing is alive that could make it so, or after `timeoutMs`. */
export async function waitUntil(options: WaitOptions): Promise<void> {
  const { what, isAlive = () => true, timeoutMs = 60_000 } = options;
  const endAt = performance.now() + timeoutMs;
  while (!(await options.isReady())) {
    if (!isAlive()) throw new Error(`${what}: it has ended before it was so`);
    if (performance.now() > endAt) throw new Error(`${what}: not so after ${timeoutMs} ms`);
    await delay(50);
  }
}
