import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import { continues, missingRange, resumptionHeaders } from '../../proxy/resumption.ts';

const whole = { 'content-length': '1000' };
const part = { 'content-length': '100', 'content-range': 'bytes 200-299/1000' };
const broken = (status: number, headers: IncomingHttpHeaders, sent: number) => ({ status, headers, sent });

describe('what is missing of an answer that broke off', () => {
  test.each<[string, number, IncomingHttpHeaders, number, string | undefined]>([
    ['the rest of a whole', 200, whole, 400, 'bytes=400-999'],
    ['everything, before the first byte', 200, whole, 0, 'bytes=0-999'],
    ['the rest of the part that was asked for', 206, part, 40, 'bytes=240-299'],
    ['the rest of a part of unknown total', 206, { 'content-range': 'bytes 200-299/*' }, 40, 'bytes=240-299'],
    ['nothing', 200, whole, 1000, undefined],
    ['unknown without a length', 200, {}, 400, undefined],
    ['unknown with an empty body', 200, { 'content-length': '0' }, 0, undefined],
    ['unknown with a length that is no number', 200, { 'content-length': '1e99' }, 0, undefined],
    ['unknown of several parts at once', 206, { 'content-type': 'multipart/byteranges' }, 40, undefined],
    ['unknown of content that was encoded on the way', 200, { ...whole, 'content-encoding': 'gzip' }, 400, undefined],
    ['unknown of another status', 203, whole, 400, undefined],
  ])('is %s', (_case, status, headers, sent, expected) => {
    expect(missingRange(broken(status, headers, sent))).toBe(expected);
  });
});

describe('an answer that continues', () => {
  test.each<[string, IncomingHttpHeaders, boolean]>([
    ['goes on where the other stopped', { 'content-range': 'bytes 400-999/1000' }, true],
    ['may not know the total', { 'content-range': 'bytes 400-999/*' }, true],
    ['does not begin later', { 'content-range': 'bytes 401-999/1000' }, false],
    ['does not begin earlier', { 'content-range': 'bytes 399-999/1000' }, false],
    ['does not end earlier', { 'content-range': 'bytes 400-998/1000' }, false],
    ['is not of another whole', { 'content-range': 'bytes 400-999/2000' }, false],
    ['says where it begins', {}, false],
    ['is not encoded', { 'content-range': 'bytes 400-999/1000', 'content-encoding': 'gzip' }, false],
    ['has no other unit', { 'content-range': 'items 400-999/1000' }, false],
  ])('%s', (_rule, headers, expected) => {
    expect(continues(broken(200, whole, 400), 206, headers)).toBe(expected);
  });

  test('is never one that begins anew', () => {
    expect(continues(broken(200, whole, 400), 200, whole)).toBe(false);
  });
});

test('the request for the rest has its own Range, and no conditions on what the caller holds', () => {
  const asked = { accept: '*/*', range: 'bytes=200-', 'if-range': '"a"', 'if-none-match': '"b"', 'x-meta': '1' };
  const headers = resumptionHeaders(asked, broken(206, part, 40));
  expect(headers).toEqual({ accept: '*/*', range: 'bytes=240-299', 'x-meta': '1' });
});
