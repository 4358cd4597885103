/**
 * A struct as a C compiler lays it out: BTF by clang 19 for BPF, bytes by clang 19 for x86-64, both of this source.
 *
 * ```c
 * enum kind { A, B = -5 };
 * struct inner { u8 a; short b; char n[3]; };
 * struct rec {
 *   u64 ts; _Bool ok; u32 f1:3; int f2:9; u64 f3:40; enum kind k; struct inner in[2];
 *   union { u32 ip4; u8 ip6[16]; }; char comm[16]; double d; float f; void *p;
 *   struct { signed char s; __attribute__((aligned(16))) char big[16]; };
 *   const volatile char names[2][4]; u64 big2:63; char tail[];
 * };
 * struct rec r = { .ts = 0x1122334455667788ull, .ok = 1, .f1 = 5, .f2 = -200, .f3 = 0xabcdef1234ull, .k = B,
 *   .in = {{1, -2, "ab"}, {3, -4, "xyz"}}, .ip6 = {1, 2, 3, 4, 5}, .comm = "hello", .d = 1.5, .f = -2.25,
 *   .p = (void *)0x1234, .s = -7, .big = "x", .names = {"one", "four"}, .big2 = 0x7123456789abcdefull };
 * ```
 */
import { describe, expect, test } from 'vitest'
import { parseBtf } from '../../lib/btf/parse.js'
import { createCodec, type Codec } from '../../lib/codec/index.js'

const BTF =
  'n+sBABgAAAAAAAAAIAMAACADAADaAAAAAQAAABAAAISQAAAABQAAAAIAAAAAAAAACAAAAAQAAABAAAAACwAAAAUAAABIAAAD' +
  'DgAAAAcAAABLAAAJEQAAAAIAAABUAAAoFAAAAAgAAACAAAAAFgAAABAAAACgAAAAAAAAABEAAAAgAQAAGQAAABMAAACgAQAA' +
  'HgAAABQAAABAAgAAIAAAABUAAACAAgAAIgAAABYAAADAAgAAAAAAABcAAAAAAwAAJAAAABwAAAAABAAAKgAAAAIAAABABAA/' +
  'LwAAAB0AAACABAAANAAAAAAAAAgDAAAAOAAAAAAAAAEIAAAAQAAAAEsAAAAAAAABAQAAAAgAAARRAAAAAAAACAYAAABVAAAA' +
  'AAAAAQQAAAAgAAAAYgAAAAAAAAEEAAAAIAAAAWYAAAACAACGBAAAAGsAAAAAAAAAbQAAAPv///9vAAAAAwAABAgAAAB1AAAA' +
  'CgAAAAAAAAB3AAAADAAAABAAAAB5AAAADgAAACAAAAB7AAAAAAAACAsAAAB+AAAAAAAAAQEAAAAIAAAAjAAAAAAAAAECAAAA' +
  'EAAAAZIAAAAAAAABAQAAAAgAAAEAAAAAAAAAAwAAAAANAAAADwAAAAMAAACXAAAAAAAAAQQAAAAgAAAAAAAAAAAAAAMAAAAA' +
  'CQAAAA8AAAACAAAAAAAAAAIAAAUQAAAAqwAAAAUAAAAAAAAArwAAABIAAAAAAAAAAAAAAAAAAAMAAAAACgAAAA8AAAAQAAAA' +
  'AAAAAAAAAAMAAAAADQAAAA8AAAAQAAAAswAAAAAAABAIAAAAugAAAAAAABAEAAAAAAAAAAAAAAIAAAAAAAAAAAIAAAQgAAAA' +
  'wAAAABgAAAAAAAAAwgAAABMAAACAAAAAxgAAAAAAAAEBAAAACAAAAQAAAAAAAAAKGgAAAAAAAAAAAAAJDQAAAAAAAAAAAAAD' +
  'AAAAABkAAAAPAAAABAAAAAAAAAAAAAADAAAAABsAAAAPAAAAAgAAAAAAAAAAAAADAAAAAA0AAAAPAAAAAAAAANIAAAAAAAAO' +
  'AQAAAAEAAADUAAAAAQAADwAAAAAeAAAAAAAAAJAAAAAAcmVjAHRzAG9rAGYxAGYyAGYzAGsAaW4AY29tbQBkAGYAcABuYW1l' +
  'cwBiaWcyAHRhaWwAdTY0AHVuc2lnbmVkIGxvbmcgbG9uZwBfQm9vbAB1MzIAdW5zaWduZWQgaW50AGludABraW5kAEEAQgBp' +
  'bm5lcgBhAGIAbgB1OAB1bnNpZ25lZCBjaGFyAHNob3J0AGNoYXIAX19BUlJBWV9TSVpFX1RZUEVfXwBpcDQAaXA2AGRvdWJs' +
  'ZQBmbG9hdABzAGJpZwBzaWduZWQgY2hhcgByAC5kYXRhAA=='
const BYTES =
  'iHdmVUQzIhEBxUkj8d68Cvv///8BAP7/YWIAAAMA/P94eXoAAQIDBAUAAAAAAAAAAAAAAGhlbGxvAAAAAAAAAAAAAAAAAAAA' +
  'AAAAAAAA+D8AABDAAAAAADQSAAAAAAAA+QAAAAAAAAAAAAAAAAAAAHgAAAAAAAAAAAAAAAAAAABvbmUAZm91cu/Nq4lnRSNx'

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

const VALUE = {
  ts: 0x1122334455667788n,
  ok: true,
  f1: 5,
  f2: -200,
  f3: 0xabcdef1234n,
  k: -5,
  in: [
    { a: 1, b: -2, n: 'ab' },
    { a: 3, b: -4, n: 'xyz' },
  ],
  ip4: 0x04030201,
  ip6: new Uint8Array([1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  comm: 'hello',
  d: 1.5,
  f: -2.25,
  p: 0x1234n,
  s: -7,
  big: 'x',
  names: ['one', 'four'],
  big2: 0x7123456789abcdefn,
}

describe.each(['generated', 'closures'] as const)("%s code agrees with the compiler's layout", (code) => {
  const codec = (): Codec => {
    const btf = parseBtf(bytesOf(BTF))
    return createCodec(btf, btf.find('rec')[0] ?? 0, { code })
  }

  test('in decoding', () => {
    expect(codec().size).toBe(144)
    expect(codec().decode(bytesOf(BYTES))).toStrictEqual(VALUE)
  })

  test('in encoding', () => {
    const bytes = new Uint8Array(144).fill(0xee)
    codec().encode(VALUE, bytes)
    expect(bytes).toEqual(bytesOf(BYTES))
    const { ip4: _, ...others } = VALUE
    codec().encode(others, bytes)
    expect(bytes).toEqual(bytesOf(BYTES))
  })
})
