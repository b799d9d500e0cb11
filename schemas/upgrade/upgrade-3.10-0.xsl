<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, step 0: unfold references, so that the later steps see what each place holds.

Every element is marked original="1". What refers to another element by id-ref becomes a copy of it, marked
original="0"; the last step folds copies again. An nvpair that refers to another one and has a name of its own is a pair
of its own from here on: 4.0 has no such references.

Marks between the steps: original as told; changed="1" where a step altered an attribute; <dropped/> where one removed
an element.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>
  <xsl:strip-space elements="*"/>

  <!-- Elements whose id is a reference (resource_ref, obj_ref, role) can't be referred to. -->
  <xsl:key name="by-id" match="*[not(self::resource_ref or self::obj_ref or self::role)]" use="@id"/>

  <xsl:template match="*">
    <xsl:copy>
      <xsl:copy-of select="@*"/>
      <xsl:attribute name="original">1</xsl:attribute>
      <xsl:apply-templates/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="comment()|processing-instruction()">
    <xsl:copy/>
  </xsl:template>

  <xsl:template match="configuration//*[@id-ref]">
    <xsl:variable name="target" select="key('by-id', @id-ref)[name() = name(current())][1]"/>
    <xsl:choose>
      <xsl:when test="$target">
        <xsl:apply-templates select="$target" mode="unfold">
          <xsl:with-param name="name" select="@name"/>
        </xsl:apply-templates>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:copy-of select="@*"/>
          <xsl:attribute name="original">1</xsl:attribute>
          <xsl:apply-templates/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="*" mode="unfold">
    <xsl:param name="name"/>
    <xsl:copy>
      <xsl:apply-templates select="@*" mode="unfold">
        <xsl:with-param name="name" select="$name"/>
      </xsl:apply-templates>
      <xsl:attribute name="original">0</xsl:attribute>
      <xsl:apply-templates select="node()" mode="unfold"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="comment()" mode="unfold">
    <xsl:copy/>
  </xsl:template>

  <xsl:template match="@*" mode="unfold">
    <xsl:param name="name"/>
    <xsl:choose>
      <xsl:when test="$name and name() = 'id'">
        <xsl:attribute name="id">
          <xsl:value-of select="concat('pcmk__3_10_upgrade-', ., '-', $name)"/>
        </xsl:attribute>
      </xsl:when>
      <xsl:when test="$name and name() = 'name'">
        <xsl:attribute name="name"><xsl:value-of select="$name"/></xsl:attribute>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy/>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- A reference within what is referred to. -->
  <xsl:template match="*[@id-ref]" mode="unfold">
    <xsl:variable name="target" select="key('by-id', @id-ref)[name() = name(current())][1]"/>
    <!-- A set that holds itself would never end. -->
    <xsl:if test="$target and not(ancestor::*[generate-id() = generate-id($target)])">
      <xsl:apply-templates select="$target" mode="unfold">
        <xsl:with-param name="name" select="@name"/>
      </xsl:apply-templates>
    </xsl:if>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

</xsl:stylesheet>
