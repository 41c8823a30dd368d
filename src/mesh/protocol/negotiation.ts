/** What peers tell one another inside `signal` messages to make a link. Written by the other peer: parsed here. */
import { z } from 'zod';
import { MAX_SDP_CHARS } from '../../config/limits.ts';

/** The larger id asks for an attempt beyond the one in the envelope: its side of that one is gone. */
const wanted = z.object({ type: z.literal('want') });

export const negotiationSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('offer'), sdp: z.string().min(1).max(MAX_SDP_CHARS) }),
  z.object({ type: z.literal('answer'), sdp: z.string().min(1).max(MAX_SDP_CHARS) }),
  z.object({
    type: z.literal('candidate'),
    candidate: z.object({
      candidate: z.string().max(1_024),
      sdpMLineIndex: z.number().int().min(0).max(255).nullable(),
      sdpMid: z.string().max(64).nullable(),
    }),
  }),
  wanted,
]);

export type Negotiation = z.infer<typeof negotiationSchema>;
