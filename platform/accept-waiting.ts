import type { Server } from 'node:net';

/** What a turn of an event loop takes that has nothing else to do. */
const shortestTurnMs = 0.03;
/** Under a flood there is always somebody waiting. */
const patienceMs = 1_000;

/**
 * Calls `close` as soon as a turn of the event loop has shown that no connection waits in the kernel any more, and at
 * once after it: whoever waits when a listener is closed is reset, whoever else has the port. Node accepts one
 * connection in a turn (libuv since 1.49), so that a burst takes as many.
 */
export function acceptWaiting(server: Server, close: () => void): void {
  let hasAccepted = false;
  const note = (): void => {
    hasAccepted = true;
  };
  server.on('connection', note).on('drop', note);
  const beganAt = performance.now();
  const nextTurn = (startedAt: number): void => {
    hasAccepted = false;
    // Connections are accepted between one call of setImmediate and the next.
    setImmediate(() => {
      const now = performance.now();
      const waitedMs = now - beganAt;
      // The longer a turn takes, the more may have come since it looked: a short one is worth waiting for.
      const isEmpty = !hasAccepted && now - startedAt < Math.max(shortestTurnMs, waitedMs / 1_000);
      if (!isEmpty && waitedMs < patienceMs) return nextTurn(now);
      close();
      server.off('connection', note).off('drop', note);
    });
  };
  setImmediate(() => nextTurn(performance.now()));
}
