import { type handleUnaryCall, type ServerErrorResponse, status } from '@grpc/grpc-js';
import { unlessAborted } from '../platform/unless-aborted.ts';
import { asCsiError, CsiError } from './errors.ts';

/** Answers a call; the signal aborts when the caller has gone, or its time is over. */
export type Answer<Question, Reply> = (question: Question, signal: AbortSignal) => Promise<Reply> | Reply;

/** For callers who name no deadline: the kubelet's own. */
const longestMs = 120_000;

/** A gRPC handler that answers in time, whatever `answer` does. */
export const unaryCall =
  <Question, Reply>(answer: Answer<Question, Reply>): handleUnaryCall<Question, Reply> =>
  (call, callback) => {
    const abort = new AbortController();
    call.once('cancelled', () => abort.abort(new CsiError(status.CANCELLED, 'the caller has gone')));
    const timer = setTimeout(
      () => abort.abort(new CsiError(status.DEADLINE_EXCEEDED, 'the call took too long')),
      Math.max(0, Math.min(longestMs, millisecondsUntil(call.getDeadline()))),
    );
    const answering = (async () => await answer(call.request, abort.signal))();
    unlessAborted(answering, abort.signal)
      .then(
        (reply) => callback(null, reply),
        (error) => callback(toWire(error)),
      )
      .finally(() => clearTimeout(timer));
  };

const millisecondsUntil = (deadline: Date | number): number => Number(deadline) - Date.now();

function toWire(error: unknown): Partial<ServerErrorResponse> {
  const { code, message } = asCsiError(error);
  return { code, details: message };
}
