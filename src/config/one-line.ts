/** Others' text for a log, or for people: what breaks lines, steers a terminal, turns the way of reading or is not seen becomes a space. @param most UTF-16 units */
export const oneLine = (text: string, most: number): string =>
  text
    .slice(0, most)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
