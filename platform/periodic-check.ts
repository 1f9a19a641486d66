export interface PeriodicCheckOptions {
  readonly everyMs: number;
  /** Told why a check by the timer failed. */
  readonly onError: (error: unknown) => void;
}

export interface PeriodicCheck {
  /** A check is under way, by whomever it was begun. */
  readonly isRunning: boolean;
  /** Checks now; who asks while a check is under way shares it. Rejects as the check does. */
  run(): Promise<void>;
  /** Stops the timer and waits for a check under way. */
  close(): Promise<void>;
}

/** Runs `check` every so often and on demand, never twice at the same time. The timer keeps no process alive. */
export function checkPeriodically(
  check: () => Promise<void>,
  { everyMs, onError }: PeriodicCheckOptions,
): PeriodicCheck {
  let running: Promise<void> | undefined;
  const run = (): Promise<void> => {
    running ??= check().finally(() => {
      running = undefined;
    });
    return running;
  };
  const timer = setInterval(() => run().catch(onError), everyMs).unref();
  return {
    get isRunning() {
      return running !== undefined;
    },
    run,
    async close() {
      clearInterval(timer);
      await running?.catch(() => {});
    },
  };
}
