import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { StreamedBody } from '../../proxy/request-body.ts';

describe('a chunk of a body that has been sent', () => {
  const makeBody = () => {
    const request = new IncomingMessage(new Socket());
    return new StreamedBody(request, new ServerResponse(request), 200_000);
  };

  test('gives its memory back at once', () => {
    const chunk = Buffer.alloc(100_000);
    makeBody().release(chunk);
    expect(chunk).toHaveLength(0);
  });

  test('keeps memory that is not all its own', () => {
    const chunk = Buffer.alloc(100_000, 1);
    makeBody().release(chunk.subarray(0, 50_000));
    expect(chunk).toEqual(Buffer.alloc(100_000, 1));
  });
});
