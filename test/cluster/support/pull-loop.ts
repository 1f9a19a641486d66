import { setTimeout as delay } from 'node:timers/promises';
import { digestOf } from '../../support/digest.ts';
import type { Image } from '../../support/image.ts';
import { waitUntil } from './readiness.ts';

type Answer = { readonly status: number; readonly body: Buffer };

const pauseMs = 200;

/** Pulls an image again and again: its manifest and all that it names, with digests compared. */
export class PullLoop {
  /** What went wrong, in words. */
  readonly failures: string[] = [];
  /** Whole pulls that succeeded. */
  count = 0;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;

  /** @param get answers of the registry API for a path within the image's repository */
  constructor(image: Image, get: (path: string) => Promise<Answer>) {
    this.#ended = this.#run(image, get);
  }

  /** Waits until `count` more pulls have succeeded; fails when one failed. */
  async pulled(count: number): Promise<void> {
    const target = this.count + count;
    await waitUntil({
      what: `${count} more pulls succeed (${this.failures.join('; ')})`,
      isReady: async () => this.count >= target || this.failures.length > 0,
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }

  async #run(image: Image, get: (path: string) => Promise<Answer>): Promise<void> {
    const paths = [`manifests/v1`, ...[...image.blobs.keys()].map((digest) => `blobs/${digest}`)];
    while (!this.#abort.signal.aborted) {
      const problems = await Promise.all(paths.map((path) => this.#pull(image, path, get)));
      const failed = problems.filter((problem) => problem !== undefined);
      if (failed.length === 0) this.count += 1;
      else this.failures.push(...failed.slice(0, Math.max(0, 20 - this.failures.length)));
      await delay(pauseMs);
    }
  }

  async #pull(image: Image, path: string, get: (path: string) => Promise<Answer>): Promise<string | undefined> {
    const digest = path.startsWith('blobs/') ? path.slice('blobs/'.length) : image.digest;
    try {
      const { status, body } = await get(path);
      if (status === 200 && digestOf(body) === digest) return undefined;
      return `${path}: ${status} ${body.subarray(0, 300).toString('latin1')}`;
    } catch (error) {
      const { message, cause } = error as Error;
      return `${path}: ${message} ${cause instanceof Error ? cause.message : ''}`;
    }
  }
}
