import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';

/** Adds a header and streams the answer back, with back-pressure and without any care for what may go wrong. */
export function relay(
  dispatcher: Dispatcher,
  authorization: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { connection: _, host: __, ...headers } = request.headers;
  dispatcher.dispatch(
    {
      path: request.url ?? '/',
      method: request.method as Dispatcher.HttpMethod,
      headers: { ...(headers as Record<string, string>), authorization },
    },
    {
      onRequestStart: (controller) => {
        response.on('drain', () => controller.resume());
        response.on('close', () => controller.abort(new Error('the caller went away')));
      },
      onResponseStart: (_controller, status, { connection: ___, ...answered }) => {
        response.writeHead(status, answered as OutgoingHttpHeaders);
      },
      onResponseData: (controller, chunk) => {
        if (!response.write(chunk)) controller.pause();
      },
      onResponseEnd: () => {
        response.end();
      },
      onResponseError: () => {
        response.destroy();
      },
    },
  );
}
