<?xml version="1.0" encoding="UTF-8"?>
<!--
2.10 to 3.0, step 2: fold the copies of step 0 that are still equal to their originals into references again.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:key name="set" match="cluster_property_set|instance_attributes|meta_attributes|utilization" use="@id"/>

  <xsl:template match="cluster_property_set[starts-with(@id, '_cibtr-2_')]|instance_attributes[starts-with(@id, '_cibtr-2_')]
                       |meta_attributes[starts-with(@id, '_cibtr-2_')]|utilization[starts-with(@id, '_cibtr-2_')]">
    <xsl:variable name="id" select="substring-after(@id, '_cibtr-2_')"/>
    <xsl:variable name="original" select="key('set', $id)[name() = name(current())][1]"/>
    <xsl:variable name="first" select="key('set', @id)[name() = name(current())][1]"/>
    <xsl:variable name="before">
      <xsl:apply-templates select="$original" mode="spell">
        <xsl:with-param name="prefix" select="concat('__cibtr-2_', $id, '__')"/>
      </xsl:apply-templates>
    </xsl:variable>
    <xsl:variable name="now">
      <xsl:apply-templates select="." mode="spell"/>
    </xsl:variable>
    <xsl:if test="not($original)">
      <xsl:message>DEBUG: <xsl:value-of select="name()"/>: original element pointed to with @id-ref <!--
        -->(<xsl:value-of select="$id"/>) disappeared during upgrade</xsl:message>
    </xsl:if>
    <xsl:copy>
      <xsl:choose>
        <xsl:when test="$original and string($before) = string($now)">
          <xsl:attribute name="id-ref"><xsl:value-of select="$id"/></xsl:attribute>
        </xsl:when>
        <xsl:when test="generate-id() != generate-id($first)">
          <xsl:attribute name="id-ref"><xsl:value-of select="@id"/></xsl:attribute>
        </xsl:when>
        <xsl:otherwise>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:otherwise>
      </xsl:choose>
    </xsl:copy>
  </xsl:template>

  <!-- What a set holds, as one text; the set's own id left out. -->
  <xsl:template match="*" mode="spell">
    <xsl:param name="prefix"/>
    <xsl:param name="depth" select="0"/>
    <xsl:text>&lt;</xsl:text>
    <xsl:value-of select="name()"/>
    <xsl:for-each select="@*">
      <xsl:sort select="name()"/>
      <xsl:choose>
        <xsl:when test="name() = 'id' and $depth = 0"/>
        <xsl:when test="name() = 'id'">
          <xsl:value-of select="concat(' id=', $prefix, .)"/>
        </xsl:when>
        <xsl:otherwise>
          <xsl:value-of select="concat(' ', name(), '=', .)"/>
        </xsl:otherwise>
      </xsl:choose>
      <xsl:text>&#10;</xsl:text>
    </xsl:for-each>
    <xsl:apply-templates select="*" mode="spell">
      <xsl:with-param name="prefix" select="$prefix"/>
      <xsl:with-param name="depth" select="$depth + 1"/>
    </xsl:apply-templates>
    <xsl:text>&gt;</xsl:text>
  </xsl:template>

</xsl:stylesheet>
