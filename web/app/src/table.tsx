import { type ComponentChildren, Fragment } from 'preact';

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
  /** What stands below a row over its whole width, if anything. */
  detail?(row: Row): ComponentChildren;
}

/** A table that becomes a list of small cards where it has no room; the first column is each card's title. */
export function Table<Row>({ caption, columns, rows, rowKey, rowData, detail }: Props<Row>) {
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
        {rows.map((row) => {
          const below = detail?.(row);
          return (
            <Fragment key={rowKey(row)}>
              <tr {...rowData?.(row)}>
                {columns.map(({ head, cell, figure, wide }) => (
                  <td key={head} data-head={head} class={`${figure ? 'figure' : ''} ${wide ? 'wide' : ''}`}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
              {below && (
                <tr class="detail">
                  <td colSpan={columns.length}>{below}</td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </table>
  );
}
