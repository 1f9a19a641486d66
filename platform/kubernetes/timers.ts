/** A clock to wait by. */
export interface Timers {
  /** Milliseconds of a clock that is never set: differences mean something, the figure itself does not. */
  now(): number;
  /** Calls back once after `ms`; the function returned takes that back. */
  after(ms: number, callback: () => void): () => void;
}

/** setTimeout cannot count further: 2^31 - 1 ms, a bit less than 25 days. */
const longest = 2_147_483_647;

export const realTimers: Timers = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, longest));
    return () => clearTimeout(timer);
  },
};

/** For what is not worth to keep a process from its end. */
export const idleTimers: Timers = {
  now: realTimers.now,
  after: (ms, callback) => {
    const timer = setTimeout(callback, Math.min(ms, longest)).unref();
    return () => clearTimeout(timer);
  },
};

/** Waits `ms`; rejects with the signal's reason as soon as that aborts. */
export async function sleepWith(timers: Timers, ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = timers.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
