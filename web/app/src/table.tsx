import type { ComponentChildren } from 'preact';

export interface ColumnSpec<Row> {
  head: string;
  cell(row: Row): ComponentChildren;
  /** Figures stand to the right, under each other. */
  figure?: boolean;
  /** Takes the whole width of a card. */
  wide?: boolean;
}

interface Props<Row> {
  caption: string;
  columns: ColumnSpec<Row>[];
  rows: Row[];
  rowKey(row: Row): string;
  rowData?(row: Row): Record<string, string | number>;
}

/** A table that becomes a list of small cards where it has no room; the first column is each card's title. */
export function Table<Row>({ caption, columns, rows, rowKey, rowData }: Props<Row>) {
  return (
    <table>
      <caption>{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ head, figure }) => (
            <th key={head} scope="col" class={figure ? 'figure' : ''}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={rowKey(row)} {...rowData?.(row)}>
            {columns.map(({ head, cell, figure, wide }) => (
              <td key={head} data-head={head} class={`${figure ? 'figure' : ''} ${wide ? 'wide' : ''}`}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
